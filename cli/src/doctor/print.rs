//! The findings as text: a line each, the worst last, and below what is wrong why it matters and what mends it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::finding::{Finding, Verdict};

/// Width of a verdict's word, and of a check's name.
const WORD: usize = 11;
const NAME: usize = 13;

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => AnsiColor::Green.on_default(),
        Verdict::NotChecked => Style::new().dimmed(),
        Verdict::Warning => AnsiColor::Yellow.on_default(),
        Verdict::Failure => AnsiColor::Red.on_default().bold(),
    }
}

/// How many findings have a verdict.
pub fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

/// Prints all. `out` drops the colours where it is no terminal.
pub fn print(out: &mut impl Write, title: &str, findings: &[Finding]) -> io::Result<()> {
    writeln!(out, "{title}\n")?;
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.verdict);
    for finding in sorted {
        line(out, finding)?;
    }
    writeln!(out, "\n{}", summary(findings))
}

fn line(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let (style, word) = (style(finding.verdict), finding.verdict.word());
    writeln!(out, "{style}{word:<WORD$}{style:#}  {:<NAME$}  {}", finding.check, finding.found)?;
    if finding.verdict < Verdict::Warning {
        return Ok(());
    }
    let indent = " ".repeat(WORD + 2);
    writeln!(out, "{indent}expected: {}", finding.expected)?;
    writeln!(out, "{indent}because:  {}", finding.why)?;
    let width = finding.remedies.iter().map(|remedy| remedy.when.len()).max().unwrap_or(0);
    for remedy in &finding.remedies {
        writeln!(out, "{indent}  {:<width$}  {}", remedy.when, remedy.command)?;
    }
    Ok(())
}

/// In one line.
fn summary(findings: &[Finding]) -> String {
    let counted = |verdict, one: &str, many: &str| match count(findings, verdict) {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {many}")),
    };
    let parts = [
        counted(Verdict::Failure, "failure", "failures"),
        counted(Verdict::Warning, "warning", "warnings"),
        counted(Verdict::NotChecked, "not checked", "not checked"),
        counted(Verdict::Ok, "ok", "ok"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stands_last_with_its_remedy() {
        let about = |check| Finding::about(check, "more", "it is too little");
        let findings = [
            about("shmmax").failure("1 MiB").sysctl("kernel.shmmax", "4096", false),
            about("governor").warning("powersave").remedy("now", "be quick"),
            about("clock_source").not_checked("it can not be read"),
            about("kernel").ok("6.18"),
            about("memory").ok("1 GiB"),
        ];
        let mut out = Vec::new();
        print(&mut out, "lab.toml: 1 stream", &findings).unwrap();
        let plain = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        assert_eq!(
            plain,
            "lab.toml: 1 stream\n\
             \n\
             ok           kernel         6.18\n\
             ok           memory         1 GiB\n\
             not checked  clock_source   it can not be read\n\
             warning      governor       powersave\n             \
             expected: more\n             \
             because:  it is too little\n               \
             now  be quick\n\
             failure      shmmax         1 MiB\n             \
             expected: more\n             \
             because:  it is too little\n               \
             now       sudo sysctl -w kernel.shmmax=4096\n               \
             for good  echo 'kernel.shmmax = 4096' | sudo tee -a /etc/sysctl.d/60-framebus.conf\n\
             \n\
             1 failure, 1 warning, 1 not checked, 2 ok\n"
        );
    }
}
