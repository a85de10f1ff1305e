use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::{Color, Modifier};

use super::*;
use crate::top::look::Look;
use crate::top::rates::Times;
use crate::top::testing::{later, look, measured, robot, stream};
use crate::top::ui::Sort;

fn watch_of(looks: impl IntoIterator<Item = Look>) -> Watch {
    let mut watch = Watch::default();
    looks.into_iter().for_each(|look| watch.take(look));
    watch
}

/// What a user sees after these keys.
fn seen(watch: &Watch, size: (u16, u16), keys: &[KeyCode], colours: bool) -> TestBackend {
    let mut ui = Ui::new(Duration::from_secs(1), Sort::Name);
    ui.settle(watch);
    for &key in keys {
        ui.key(KeyEvent::from(key), watch);
    }
    let view = View { watch, prefix: "", fault: None, paint: Paint { colours, selected: false } };
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, &view, &mut ui)).unwrap();
    terminal.backend().clone()
}

/// The lines, without what is blank at their ends; runs of blank lines as one.
fn lines(backend: &TestBackend) -> Vec<String> {
    let buffer = backend.buffer();
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let mut lines: Vec<_> = (0..buffer.area.height).map(|y| line(y).trim_end().to_owned()).collect();
    lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
    lines
}

#[track_caller]
fn check(backend: &TestBackend, expected: &str) {
    let expected: Vec<_> = expected.trim_matches('\n').lines().collect();
    let lines = lines(backend);
    assert_eq!(lines, expected, "it looks so:\n{}\n", lines.join("\n"));
}

#[test]
fn table_at_80_columns() {
    check(
        &seen(&watch_of(robot()), (80, 24), &[], true),
        "
 framebus top · 3 streams · 3 subscribers · 5.3 MiB · every 1 s        ✖ 2  ● 1
  STREAM / subscriber           PID     HZ     AGE SKIP/s DROP/s   HELD   MEMORY
✖ ▾ robot/front                4000    2.0   10 ms          28.0    2/3  2.6 MiB
    ├ recorder                 4100    2.0       –      0      0    0/2
  ✖ └ slow                     4200    2.0       –      0   28.0    2/2
✖   robot/imu                  gone      0   8.0 s             0   0/18  4.0 KiB
● ▾ robot/rear                 4000   30.0   10 ms             0   0/18  2.6 MiB
    └ web                      4300   10.0   -2 fr   20.0      0    0/2

 ✖ robot/front: drops 28.0/s due to slow (pid 4200)
 ⏎  show  ␣  fold  s  sort: name  /  filter  ?  help  q  quit  r  reverse
",
    );
}

#[test]
fn table_at_120_columns() {
    check(
        &seen(&watch_of(robot()), (120, 40), &[KeyCode::Down, KeyCode::Down], true),
        "
 framebus top · 3 streams · 3 subscribers · 5.3 MiB · every 1 s                                                ✖ 2  ● 1
  STREAM / subscriber        PID     HZ     AGE SKIP/s DROP/s   HELD   MEMORY TROUBLE
✖ ▾ robot/front             4000    2.0   10 ms          28.0    2/3  2.6 MiB drops 28.0/s due to slow (pid 4200)
    ├ recorder              4100    2.0       –      0      0    0/2
  ✖ └ slow                  4200    2.0       –      0   28.0    2/2          the culprit: 28.0 frames/s refused; holds…
✖   robot/imu               gone      0   8.0 s             0   0/18  4.0 KiB publisher gone
● ▾ robot/rear              4000   30.0   10 ms             0   0/18  2.6 MiB
    └ web                   4300   10.0   -2 fr   20.0      0    0/2

 ✖ slow (pid 4200): the culprit: 28.0 frames/s refused; holds all 2 it may
 ⏎  show  ␣  fold  s  sort: name  /  filter  ?  help  q  quit  r  reverse  p  pause  +-  interval  f  fold all
",
    );
}

#[test]
fn table_at_200_columns() {
    check(&seen(&watch_of(robot()), (200, 60), &[], true), "
 framebus top · 3 streams · 3 subscribers · 5.3 MiB · every 1 s                                                                                                                                ✖ 2  ● 1
  STREAM / subscriber        PID     HZ     OF     AGE SKIP/s MISS/s DROP/s LATE/s   HELD   MEMORY BACKEND    TROUBLE
✖ ▾ robot/front             4000    2.0   30.0   10 ms                 28.0      0    2/3  2.6 MiB sysv       drops 28.0/s due to slow (pid 4200)
    ├ recorder              4100    2.0              –      0      0      0           0/2
  ✖ └ slow                  4200    2.0              –      0      0   28.0           2/2                     the culprit: 28.0 frames/s refused; holds all 2 it may
✖   robot/imu               gone      0   30.0   8.0 s                    0      0   0/18  4.0 KiB sysv       publisher gone
● ▾ robot/rear              4000   30.0   30.0   10 ms                    0      0   0/18  2.6 MiB sysv
    └ web                   4300   10.0          -2 fr   20.0      0      0           0/2

 ✖ robot/front: drops 28.0/s due to slow (pid 4200)
 ⏎  show  ␣  fold  s  sort: name  /  filter  ?  help  q  quit  r  reverse  p  pause  +-  interval  f  fold all  l  probe latency
");
}

#[test]
fn table_with_latencies() {
    let mut watch = watch_of(robot());
    watch.note(&measured());
    let keys = [KeyCode::Char('l')];
    check(
        &seen(&watch, (80, 24), &keys, true),
        "
 framebus top · 3 streams · 3 subscribers · 5.3 MiB · every 1 s        ✖ 2  ● 1
  STREAM / subscriber           PID     HZ     AGE LAT p50 LAT p99 DROP/s   HELD
✖ ▾ robot/front                4000    2.0   10 ms   24 µs  591 µs   28.0    2/3
    ├ recorder                 4100    2.0       –                      0    0/2
  ✖ └ slow                     4200    2.0       –                   28.0    2/2
✖   robot/imu                  gone      0   8.0 s                      0   0/18
● ▾ robot/rear                 4000   30.0   10 ms    full       –      0   0/18
    └ web                      4300   10.0   -2 fr                      0    0/2

 ✖ robot/front: drops 28.0/s due to slow (pid 4200)
 ⏎  show  ␣  fold  l  probe off  s  sort: name  /  filter  ?  help  q  quit
",
    );
    let wide = lines(&seen(&watch, (130, 24), &keys, true));
    assert!(wide[1].contains(" AGE LAT p50 LAT p99 SKIP/s DROP/s   HELD   MEMORY TROUBLE"), "{wide:#?}");
    let full = cell(&seen(&watch, (130, 24), &keys, true), 6, "full");
    assert_eq!((full.fg, full.bg), (Color::Black, Color::Yellow));
    // A stream says in words why there is none.
    let keys = [KeyCode::Char('l'), KeyCode::End, KeyCode::Enter];
    let lines = lines(&seen(&watch, (80, 24), &keys, true)).join("\n");
    assert!(lines.contains(" latency    can not attach to stream robot/rear: all 8 places are taken\n"), "{lines}");
}

#[test]
fn one_stream_at_80_columns() {
    let mut watch = watch_of(robot());
    watch.note(&measured());
    let keys = [KeyCode::Enter, KeyCode::Char('l')];
    check(
        &seen(&watch, (80, 24), &keys, true),
        "
 framebus top › robot/front · every 1 s                                ✖ 2  ● 1
 content    images of 640 × 480 rgb8, up to 900 KiB a frame
 publisher  alive, pid 4000
 newest     frame 302, 10 ms old; 2.0 of 30.0 Hz
 counted    refused 28, late 0, abandoned 0, evicted 0
 room       3 slots (2 held), history 1, 2 of 8 subscribers, each may hold 2
 memory     2.6 MiB of 16 MiB, sysv id 7, uid 1000, mode 0600
 trouble    ✖ drops 28.0/s due to slow (pid 4200)
 latency    probe (ours): p50 24 µs, p99 591 µs, max 1.2 ms; 30 frames

 published 2.0 Hz, at most 2.0 Hz in the last 2 min
                                                                              ▁
 dropped 28.0/s, at most 28.0/s in the last 2 min
                                                                              █
 age 10 ms, at most 10 ms in the last 2 min
                                                                              ▁

  SUBSCRIBER               PID SEEN/s     AGE LAT p99 SKIP/s MISS/s DROP/s  HELD
● recorder                4100    2.0       –              0      0      0   0/2
✖ slow                    4200    2.0       –              0      0   28.0   2/2

 Esc  back  l  probe off  ←→  other stream  ?  help  q  quit  p  pause
",
    );
}

#[test]
fn one_stream_has_its_readers_own_latencies_as_far_as_there_is_room() {
    let mut watch = watch_of(robot());
    let front = watch.streams.values_mut().next().unwrap();
    let times = |ns| Some(Times { p50_ns: ns, p99_ns: 10 * ns, max_ns: 20 * ns });
    let rates = &mut front.subscribers[0].rates;
    (rates.latency, rates.age, rates.hold) = (times(61_000), times(5_000_000), times(1_200));
    let table = |width| {
        let lines = lines(&seen(&watch, (width, 30), &[KeyCode::Enter], true));
        let head = lines.iter().position(|line| line.starts_with("  SUBSCRIBER")).unwrap();
        lines[head..head + 2].to_vec()
    };
    let expected = [
        "  SUBSCRIBER               PID SEEN/s     AGE LAT p99 SKIP/s MISS/s DROP/s  HELD",
        "● recorder                4100    2.0       –  610 µs      0      0      0   0/2",
    ];
    assert_eq!(table(80), expected);
    let wide = table(180);
    assert!(wide[0].contains("LAT p50 LAT p99 AGE p99 HOLD p99 SKIP/s"), "{wide:#?}");
    assert!(wide[1].contains("61 µs  610 µs   50 ms    12 µs      0"), "{wide:#?}");
}

#[test]
fn filter_while_it_is_typed() {
    let keys = ['/', 'w', 'e', 'b'].map(KeyCode::Char);
    check(
        &seen(&watch_of(robot()), (80, 24), &keys, true),
        "
 framebus top · 3 streams · 3 subscribers · 5.3 MiB · every 1 s        ✖ 2  ● 1
  STREAM / subscriber           PID     HZ     AGE SKIP/s DROP/s   HELD   MEMORY
● ▾ robot/rear                 4000   30.0   10 ms             0   0/18  2.6 MiB
    └ web                      4300   10.0   -2 fr   20.0      0    0/2

 filter: web   part of a stream's or subscriber's name
 ⏎  keep it  Esc  show all
",
    );
}

#[test]
fn no_streams() {
    check(
        &seen(&watch_of([look(0.0, Vec::new())]), (80, 24), &[], true),
        "
 framebus top · 0 streams · 0 subscribers · 0 B · every 1 s

                                   no streams
            framebus demo makes some; they appear here by themselves

 ⏎  show  ␣  fold  s  sort: name  /  filter  ?  help  q  quit  r  reverse
",
    );
}

#[test]
fn first_look_says_that_rates_are_to_come() {
    let [first, _] = robot();
    let first = Look { streams: vec![first.streams[2].clone()], ..first };
    check(
        &seen(&watch_of([first]), (80, 6), &[], true),
        "
 framebus top · 1 stream · 1 subscriber · 2.6 MiB · every 1 s               ● 1
  STREAM / subscriber           PID     HZ     AGE SKIP/s DROP/s   HELD   MEMORY
● ▾ robot/rear                 4000      –   10 ms             –   0/18  2.6 MiB
    └ web                      4300      –       –      –      –    0/2
 rates come with the second look
 ⏎  show  ␣  fold  s  sort: name  /  filter  ?  help  q  quit  r  reverse
",
    );
}

#[test]
fn history_grows_from_the_right() {
    let mut front = stream("robot/front");
    let looks: Vec<_> = (0..40)
        .map(|second| {
            front = later(&front, 30);
            // In the midst of it, frames are dropped.
            front.refused += if second == 20 { 15 } else { 0 };
            look(f64::from(second), vec![front.clone()])
        })
        .collect();
    let lines = lines(&seen(&watch_of(looks), (122, 30), &[KeyCode::Enter], true));
    let bars = |title: &str| {
        let index = lines.iter().position(|line| line.starts_with(title)).unwrap();
        lines[index + 1..]
            .iter()
            .take_while(|line| line.is_empty() || !line.contains("at most"))
            .last()
            .unwrap()
            .clone()
    };
    assert!(bars(" published").ends_with(&"█".repeat(39)), "{lines:#?}");
    let dropped = bars(" dropped");
    assert!(dropped.trim_end().ends_with('█') && dropped.chars().filter(|&bar| bar == '█').count() == 1, "{lines:#?}");
}

/// The cell where this text begins.
#[track_caller]
fn cell(backend: &TestBackend, y: usize, text: &str) -> ratatui::buffer::Cell {
    let buffer = backend.buffer();
    let width = buffer.area.width;
    let line: Vec<_> = (0..width).map(|x| buffer[(x, y as u16)].symbol().to_owned()).collect();
    let at =
        (0..line.len()).find(|&x| line[x..].concat().starts_with(text)).unwrap_or_else(|| panic!("{text} in {line:?}"));
    buffer[(at as u16, y as u16)].clone()
}

#[test]
fn colours_tell_what_is_well_and_what_is_not() {
    let backend = seen(&watch_of(robot()), (120, 40), &[KeyCode::End], true);
    let drops = cell(&backend, 2, "28.0");
    assert_eq!((drops.fg, drops.bg), (Color::White, Color::Red));
    // The culprit, its number and its name.
    let culprit = cell(&backend, 4, "28.0");
    assert_eq!((culprit.fg, culprit.bg), (Color::White, Color::Red));
    assert_eq!(cell(&backend, 4, "the culprit").fg, Color::Red);
    let held = cell(&backend, 4, "2/2");
    assert_eq!((held.fg, held.bg), (Color::Black, Color::Yellow));
    assert_eq!(cell(&backend, 5, "gone").bg, Color::Red);
    assert_eq!(cell(&backend, 6, "30.0").fg, Color::Green);
}

#[test]
fn a_number_that_stands_out_does_so_under_the_cursor_too() {
    let backend = seen(&watch_of(robot()), (120, 40), &[], true);
    assert!(cell(&backend, 2, "robot/front").modifier.contains(Modifier::REVERSED));
    let drops = cell(&backend, 2, "28.0");
    assert_eq!((drops.bg, drops.modifier.contains(Modifier::REVERSED)), (Color::Red, false));
}

#[test]
fn without_colours_there_are_none_and_yet_trouble_stands_out() {
    for keys in [vec![], vec![KeyCode::Enter], vec![KeyCode::Char('?')], vec![KeyCode::Char('p')]] {
        let backend = seen(&watch_of(robot()), (120, 40), &keys, false);
        let coloured = |cell: &&ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert_eq!(backend.buffer().content().iter().find(coloured), None, "{keys:?}");
    }
    let backend = seen(&watch_of(robot()), (120, 40), &[], false);
    assert!(cell(&backend, 4, "28.0").modifier.contains(Modifier::BOLD | Modifier::UNDERLINED));
}

#[test]
fn any_size_can_be_drawn() {
    let watch = watch_of(robot());
    for width in [1, 2, 3, 7, 20, 49, 77, 109, 500] {
        for height in 1..30 {
            for key in ["", "\n", "?", "/", "l"] {
                let keys: Vec<_> =
                    key.chars().map(|key| if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) }).collect();
                seen(&watch, (width, height), &keys, true);
            }
        }
    }
}

#[test]
fn the_row_under_the_cursor_is_always_on_the_screen() {
    let many = look(0.0, (0..50).map(|number| stream(&format!("robot/camera-{number:02}"))).collect());
    let watch = watch_of([many]);
    let mut keys = vec![KeyCode::Down; 30];
    let shown = |keys: &[KeyCode]| lines(&seen(&watch, (80, 14), keys, true)).join("\n");
    assert!(shown(&keys).contains("camera-30"));
    keys.extend([KeyCode::Up; 10]);
    assert!(shown(&keys).contains("camera-20"));
    keys.push(KeyCode::End);
    assert!(shown(&keys).contains("camera-49"));
}

#[test]
fn the_help_is_seen_whole_on_a_usual_terminal() {
    let shown = lines(&seen(&watch_of(robot()), (80, 24), &[KeyCode::Char('?')], true)).join("\n");
    for line in HELP.lines() {
        assert!(shown.contains(line), "{line:?} in\n{shown}");
    }
}
