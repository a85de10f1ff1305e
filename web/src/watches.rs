//! Which streams are looked at: their threads begin with the first who looks, and end a while after the last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::encoders::{Encoders, Job};
use crate::lock;
use crate::picture::{Picture, Reply, Style, Task};
use crate::still::Still;
use crate::watch::{Key, Waiting, Watched};

/// Most streams at a time.
const MOST_STREAMS: usize = 64;

/// How long an answer may take, from a frame that is there; the encoders are at work for others meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an error is waited for to pass, before it is told: so that who asks again at once does not keep us busy.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// All streams that somebody looks at.
pub(crate) struct Watches {
    streams: Mutex<BTreeMap<Key, Entry>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    encoders: Encoders,
    linger: Duration,
    ended: AtomicBool,
}

struct Entry {
    watched: Arc<Watched>,
    lookers: usize,
    /// When the last one went.
    left: Instant,
}

impl Watches {
    /// None so far. A thread stays for `linger` after the last who looked.
    pub(crate) fn new(encoders: Encoders, linger: Duration) -> Self {
        let (streams, threads, ended) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { streams, threads, encoders, linger, ended }
    }

    pub(crate) fn encoders(&self) -> &Encoders {
        &self.encoders
    }

    /// Looks at a stream for as long as the answer lives.
    ///
    /// # Errors
    /// In words: there are too many, or there is no thread for it.
    pub(crate) fn look(self: &Arc<Self>, key: &Key) -> Result<Looking, String> {
        let mut streams = lock(&self.streams);
        if self.ended.load(Ordering::Relaxed) {
            return Err("the server ends".to_owned());
        }
        if let Some(entry) = streams.get_mut(key) {
            entry.lookers += 1;
            return Ok(Looking { watches: self.clone(), watched: entry.watched.clone() });
        }
        if streams.len() >= MOST_STREAMS {
            return Err(format!("{MOST_STREAMS} streams are looked at already, the most that this server looks at"));
        }
        let watched = Arc::new(Watched::new(key.clone(), self.encoders.queue().clone()));
        self.start(watched.clone()).map_err(|error| format!("no thread for stream {}: {error}", key.name))?;
        streams.insert(key.clone(), Entry { watched: watched.clone(), lookers: 1, left: Instant::now() });
        Ok(Looking { watches: self.clone(), watched })
    }

    fn start(self: &Arc<Self>, watched: Arc<Watched>) -> std::io::Result<()> {
        let watches = self.clone();
        let name: String = format!("watch {}", watched.key.name.stream()).chars().take(15).collect();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            watched.run(&|| watches.retire(&watched));
            watches.forget(&watched);
        })?;
        let mut threads = lock(&self.threads);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Whether nobody has looked at the stream for so long that its thread is to end; then it is forgotten.
    fn retire(&self, watched: &Arc<Watched>) -> bool {
        let mut streams = lock(&self.streams);
        // One of the same stream that is not ours is our successor's: we are retired already.
        let ours = streams.get(&watched.key).filter(|entry| Arc::ptr_eq(&entry.watched, watched));
        let Some(entry) = ours else { return true };
        if entry.lookers > 0 || entry.left.elapsed() < self.linger {
            return false;
        }
        streams.remove(&watched.key);
        true
    }

    /// The thread ends, for whatever reason.
    fn forget(&self, watched: &Arc<Watched>) {
        let mut streams = lock(&self.streams);
        if streams.get(&watched.key).is_some_and(|entry| Arc::ptr_eq(&entry.watched, watched)) {
            streams.remove(&watched.key);
        }
    }

    /// The stream, where somebody looks at it.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Watched>> {
        lock(&self.streams).get(key).map(|entry| entry.watched.clone())
    }

    /// A stream of this name that somebody looks at, on that backend or any.
    pub(crate) fn find(&self, is_meant: impl Fn(&Key) -> bool) -> Option<Key> {
        lock(&self.streams).keys().find(|key| is_meant(key)).cloned()
    }

    /// Ends all threads: places are given back.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        lock(&self.streams).values().for_each(|entry| entry.watched.end());
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // One that panicked has printed its message.
            let _ = thread.join();
        }
        self.encoders.end();
    }
}

/// Somebody who looks at a stream.
pub(crate) struct Looking {
    watches: Arc<Watches>,
    watched: Arc<Watched>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.watches.streams).get_mut(&self.watched.key)
            && Arc::ptr_eq(&entry.watched, &self.watched)
        {
            entry.lookers -= 1;
            entry.left = Instant::now();
        }
    }
}

/// What came of waiting for a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// There is one.
    Frame,
    /// There is none; what there is of the publisher.
    Nothing(&'static str),
}

impl Looking {
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// Newest sequence; 0 before the first.
    pub(crate) fn sequence(&self) -> u64 {
        self.watched.newest().borrow().sequence
    }

    /// The newest frame is to be at hand for as long as the answer lives.
    pub(crate) fn wait(&self) -> Waiting {
        self.watched.wait()
    }

    /// Waits for a frame newer than `after`.
    ///
    /// # Errors
    /// Why the stream can not be seen, in words, a second later.
    pub(crate) async fn newer(&self, after: u64, patience: Duration) -> Result<Came, String> {
        let mut newest = self.watched.newest();
        let came = timeout(patience, newest.wait_for(|newest| newest.is_newer_than(after) || newest.error.is_some()));
        let error = match came.await {
            Ok(Ok(newest)) => newest.error.clone(),
            Ok(Err(_)) | Err(_) => return Ok(Came::Nothing(self.watched.publisher())),
        };
        let Some(error) = error else { return Ok(Came::Frame) };
        match timeout(ERROR_PAUSE, newest.wait_for(|newest| newest.error.is_none())).await {
            Ok(_) => Ok(Came::Nothing(self.watched.publisher())),
            Err(_) => Err(error.to_string()),
        }
    }

    /// A picture of the newest frame.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) async fn picture(&self, style: Style) -> Result<Arc<Picture>, String> {
        match self.watched.kept(&style) {
            Some(picture) => Ok(picture),
            None => self.ask(|reply| Task::Picture(style, reply)).await,
        }
    }

    /// A copy of the newest frame.
    ///
    /// # Errors
    /// As for [`picture`](Self::picture).
    pub(crate) async fn still(&self) -> Result<Arc<Still>, String> {
        self.ask(Task::Still).await
    }

    /// Something of the newest frame.
    ///
    /// # Errors
    /// As for [`picture`](Self::picture).
    pub(crate) async fn ask<T>(&self, task: impl FnOnce(Reply<T>) -> Task) -> Result<T, String> {
        let _waiting = self.wait();
        let (reply, answer) = oneshot::channel();
        self.watched.ask(task(reply));
        answered(answer).await
    }
}

impl Watches {
    /// Something of a copy.
    ///
    /// # Errors
    /// As for [`Looking::picture`].
    pub(crate) async fn ask_still<T>(
        &self,
        still: Arc<Still>,
        task: impl FnOnce(Reply<T>) -> Task,
    ) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        // Where no encoder is left, the reply is dropped with the job.
        let _ = self.encoders.queue().send(Job::Still(still, task(reply)));
        answered(answer).await
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, String>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err("the frame could not be read".to_owned()),
        Err(_) => Err(format!("no frame within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus::{Backend, StreamName};

    #[test]
    fn a_thread_that_was_retired_neither_goes_on_nor_retires_its_successor() {
        let watches = Arc::new(Watches::new(Encoders::start(1).unwrap(), Duration::ZERO));
        let name = StreamName::new(&format!("web-retire-{}", std::process::id()), "front").unwrap();
        let key = Key { name, backend: Backend::SysV };
        let looking = watches.look(&key).unwrap();
        let predecessor = Arc::new(Watched::new(key.clone(), watches.encoders.queue().clone()));
        assert!(watches.retire(&predecessor), "it goes");
        assert!(!watches.retire(looking.watched()), "somebody looks");
        assert!(Arc::ptr_eq(&watches.get(&key).unwrap(), looking.watched()), "the successor stays");
        drop(looking);
        watches.end();
    }
}
