//! What of a stream's frames a process has mapped, and how: the kernel decides, and tells in `/proc/PID/smaps` (proc(5)).

use std::io;

use crate::segment::Mapping;

/// How the frames of a stream are mapped in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramesMemory {
    /// Bytes of the frames segment, headers included.
    pub total_bytes: u64,
    /// Of these, bytes that cost this process no page fault any more.
    pub mapped_bytes: u64,
    /// Of these, bytes in huge pages.
    pub huge_bytes: u64,
}

impl FramesMemory {
    /// Reads what the kernel has to say of a mapping: takes milliseconds in a process with much memory.
    pub(crate) fn of(mapping: &Mapping) -> io::Result<Self> {
        let first = mapping.base().as_ptr() as u64;
        let total_bytes = mapping.bytes() as u64;
        // Not there in a forked child, where something else may be at the address.
        if !mapping.process().is_current() {
            return Ok(Self { total_bytes, ..Self::default() });
        }
        let smaps = std::fs::read_to_string("/proc/self/smaps")?;
        Ok(Self { total_bytes, ..count(&smaps, first, first + total_bytes) })
    }
}

/// Counts over the areas that begin in `first..end`. What the kernel was told of a part has made an area of it.
fn count(smaps: &str, first: u64, end: u64) -> FramesMemory {
    let mut memory = FramesMemory::default();
    let mut inside = false;
    for line in smaps.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        if let Some((start, _)) = name.split_once('-') {
            inside = u64::from_str_radix(start, 16).is_ok_and(|start| (first..end).contains(&start));
        }
        let bytes = match name {
            "Rss:" => &mut memory.mapped_bytes,
            // Files of a disk have a line of their own.
            "ShmemPmdMapped:" | "FilePmdMapped:" => &mut memory.huge_bytes,
            _ => continue,
        };
        let kib = value.trim().strip_suffix(" kB").and_then(|kib| kib.parse::<u64>().ok());
        *bytes += if inside { kib.unwrap_or(0) * 1024 } else { 0 };
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_areas_of_the_mapping_count() {
        let area = |start: &str, end: &str, rss: u64, huge: u64| {
            format!(
                "{start}-{end} r--s 00000000 00:01 32770      /SYSV00001234 (deleted)\nSize:               40 kB\n\
                 Rss:                {rss} kB\nShmemPmdMapped:     {huge} kB\nVmFlags: rd sh mr mw me dc\n"
            )
        };
        let smaps = [area("1000", "2000", 4, 0), area("200000", "600000", 4096, 2048), area("600000", "700000", 8, 0)];
        let memory = count(&(smaps.concat() + &area("7ff000", "800000", 4, 4)), 0x20_0000, 0x70_0000);
        assert_eq!((memory.mapped_bytes, memory.huge_bytes), (4104 << 10, 2048 << 10));
    }
}
