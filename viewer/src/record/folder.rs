//! The folder of a recording: the names in it, and what an earlier run left there.

use super::Newest;
use anyhow::Context;
use framebus::StreamName;
use std::fs;
use std::path::{Path, PathBuf};

/// Digits of a sequence in a name: five years at 60 Hz, in the order of the alphabet.
const DIGITS: usize = 10;

/// A folder, and the stream that is recorded to it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    stream: StreamName,
}

impl Folder {
    /// The folder, made where there is none.
    pub(super) fn open(path: &Path, stream: &StreamName) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("can not record to {}: it can not be made", path.display()))?;
        Ok(Self { path: path.to_owned(), stream: stream.clone() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stream(&self) -> &StreamName {
        &self.stream
    }

    pub(super) fn index_file(&self) -> PathBuf {
        self.path.join(format!("{}.csv", self.stream.stream()))
    }

    /// The name of the file that begins with this frame.
    pub(super) fn name(&self, sequence: u64, end: &str) -> String {
        format!("{}-{sequence:0DIGITS$}.{end}", self.stream.stream())
    }

    /// All pictures of the stream, as a producer's source. As many characters as there are digits: `front-*` would also be
    /// those of a stream `front-left`.
    pub(super) fn images(&self, end: &str) -> String {
        format!("images:{}/{}-{}.{end}", self.path.display(), self.stream.stream(), "?".repeat(DIGITS))
    }

    /// The newest frame that begins a file, whether or not it is in the index.
    pub(super) fn newest(&self) -> anyhow::Result<Option<Newest>> {
        let names = self.names()?;
        let newest = names.iter().filter_map(|name| Some((self.sequence(name)?, name))).max();
        let Some((sequence, name)) = newest else { return Ok(None) };
        let path = self.path.join(name);
        let written = fs::metadata(&path).and_then(|about| about.modified());
        let at = written.with_context(|| format!("can not look at {}", path.display()))?;
        Ok(Some(Newest { sequence, at }))
    }

    /// Removes what a killed run was in the midst of. Nobody else records here: the index is locked.
    pub(super) fn remove_unfinished(&self) -> anyhow::Result<()> {
        for name in self.names()? {
            // `.NAME.PID-COUNT`, as `framebus_picture::save` has it; earlier ones had no count.
            let unfinished = name.strip_prefix('.').and_then(|name| name.rsplit_once('.'));
            let is_ours = |(name, whose): (&str, &str)| {
                self.sequence(name).is_some() && whose.split('-').all(|number| number.parse::<u64>().is_ok())
            };
            if unfinished.is_some_and(is_ours) {
                let path = self.path.join(&name);
                fs::remove_file(&path).with_context(|| format!("can not remove the unfinished {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// What [`name`](Self::name) made a name of.
    fn sequence(&self, name: &str) -> Option<u64> {
        let (stem, end) = name.rsplit_once('.')?;
        let digits = stem.strip_prefix(self.stream.stream())?.strip_prefix('-')?;
        let is_name = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        (is_name && ["png", "jpg", "tiff", "raw"].contains(&end)).then(|| digits.parse().ok())?
    }

    fn names(&self) -> anyhow::Result<Vec<String>> {
        let list = || -> std::io::Result<Vec<String>> {
            fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        list().with_context(|| format!("can not list {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_their_frames_and_only_those_of_the_stream_count() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(&directory.path().join("a/b"), &"robot/front.2".parse().unwrap()).unwrap();
        let last = || folder.newest().unwrap().map(|newest| newest.sequence);
        assert_eq!(last(), None);
        let names = [7, 12_345, 999_999_999].map(|sequence| folder.name(sequence, "png"));
        assert_eq!(names[1], "front.2-0000012345.png");
        assert!(names.is_sorted());
        for name in ["front-0000000100.png", "front.2-100.png", "front.2-0000000100.txt", ".front.2-0000000100.png"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(last(), None);
        fs::write(folder.path().join(&names[0]), "").unwrap();
        fs::write(folder.path().join(&names[1]), "").unwrap();
        assert_eq!(last(), Some(12_345));
    }

    #[test]
    fn unfinished_files_of_the_stream_are_removed_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path(), &"robot/front".parse().unwrap()).unwrap();
        let kept = [".front-0000000001.png", ".rear-0000000001.png.77", "front-0000000001.png", ".front.77"];
        for name in kept.iter().chain(&[".front-0000000002.png.77", ".front-0000000003.tiff.78-12"]) {
            fs::write(directory.path().join(name), "").unwrap();
        }
        folder.remove_unfinished().unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        let mut kept = kept.map(str::to_owned);
        kept.sort();
        assert_eq!(names, kept);
    }
}
