#!/usr/bin/env python3
"""What looking costs: a 1080p60 camera and a second viewer, with and without two who look through `framebus web`.

    cargo build --release && bench/browsers.py [nobody] [mjpeg] [chromium] [chromium-rt]

nobody: the web server idle; mjpeg: two readers that show nothing (curl); chromium: two browsers without a window on this machine;
chromium-rt: the same, with producer and second viewer at real-time priority (chrt, needs the right to it). Without words all of
them, whichever can be run. One line each: what the producer dropped, what the second viewer skipped, processor time of the server.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

SECONDS = 25
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "framebus")
BUS = f"looking-{os.getpid()}"
STREAM = f"{BUS}/camera"
CAMERA = "--width 1920 --height 1080 --format rgb8 --rate 60".split()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run --remote-debugging-port=0 --window-size=1920,1200"
).split()


def start(words, **options):
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def last_object(process):
    last = json.loads(process.stdout.read().splitlines()[-1])
    process.wait()
    return last


def looker(kind, url, folder):
    if kind == "mjpeg":
        return start(["curl", "-sN", "-o", "/dev/null", f"{url}/stream/{STREAM}.mjpeg"])
    return start([CHROMIUM, *FLAGS, f"--user-data-dir={folder}", f"{url}/#{STREAM}"], start_new_session=True)


def end(kind, process):
    if kind.startswith("chromium"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def measure(kind):
    first = ["chrt", "-f", "20"] if kind == "chromium-rt" else []
    web = start([PROGRAM, "web", "--listen", "127.0.0.1:0", "--bus", BUS, "--json", "--quiet"])
    url = json.loads(web.stdout.readline())["url"].rstrip("/")
    seconds = str(SECONDS + 12)
    producer = start([*first, PROGRAM, "producer", "--stream", STREAM, *CAMERA, "--json", "--seconds", seconds])
    time.sleep(1.5)
    folders = [tempfile.mkdtemp() for _ in range(2)]
    lookers = [looker(kind, url, folder) for folder in folders if kind != "nobody"]
    time.sleep(5)
    begun, used = time.time(), processor_seconds(web.pid)
    viewer = start([*first, PROGRAM, "viewer", "--stream", STREAM, "--json", "--quiet", "--seconds", str(SECONDS)])
    time.sleep(SECONDS - 2)
    stream = json.load(urllib.request.urlopen(f"{url}/api/streams"))[0]
    used = (processor_seconds(web.pid) - used) / (time.time() - begun)
    seen = last_object(viewer)
    for process in lookers:
        end(kind, process)
    made = last_object(producer)
    web.send_signal(signal.SIGINT)
    web.wait()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    pictures = (stream["watch"] or {}).get("encoded_fps") or 0.0
    print(
        f"{kind:12} {pictures:5.1f} pictures/s, server {100 * used:5.1f} % of a core; producer {made['published']} frames, "
        f"{made['drops']} dropped, {made['late']} late; second viewer {seen['frames']} frames, {seen['skipped']} skipped, "
        f"p50 {seen['latency_p50_ns'] / 1000:.1f} us, p99 {seen['latency_p99_ns'] / 1000:.0f} us",
        flush=True,
    )


def can(kind):
    needed = {"nobody": [], "mjpeg": ["curl"], "chromium": [CHROMIUM], "chromium-rt": [CHROMIUM, "chrt"]}[kind]
    return all(program and shutil.which(program) for program in needed)


if __name__ == "__main__":
    kinds = sys.argv[1:] or [kind for kind in ("nobody", "mjpeg", "chromium", "chromium-rt") if can(kind)]
    for kind in kinds:
        measure(kind)
