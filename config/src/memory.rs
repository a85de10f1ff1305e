//! How much memory this machine has, and numbers of bytes for people.

/// Bytes of memory of this machine (proc(5), `MemTotal` of `/proc/meminfo`); `None` where the kernel does not say.
pub(crate) fn machine_bytes() -> Option<u64> {
    total_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `bytes` with the largest unit of which there is at least one.
pub(crate) fn for_people(bytes: u64) -> String {
    let unit = |shift: u32| bytes as f64 / (1_u64 << shift) as f64;
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{:.1} KiB", unit(10)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", unit(20)),
        _ => format!("{:.1} GiB", unit(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_word_is_understood() {
        assert_eq!(total_of("MemTotal:        8000 kB\nMemFree: 1 kB\n"), Some(8_192_000));
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
        assert_eq!(total_of("MemTotal: many\n"), None);
    }

    #[test]
    fn bytes_have_the_unit_that_fits() {
        assert_eq!(for_people(100), "100 bytes");
        assert_eq!(for_people(6_220_800), "5.9 MiB");
        assert_eq!(for_people(3 << 30), "3.0 GiB");
    }
}
