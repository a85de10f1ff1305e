//! The token: made of the system's random bits, and compared without telling how much of it was right.

use std::hint::black_box;

use anyhow::Context;
use rustix::rand::{GetRandomFlags, getrandom};

/// 128 random bits, as 32 hexadecimal digits.
///
/// # Errors
/// The kernel has none.
pub(crate) fn random() -> anyhow::Result<String> {
    let mut bits = [0_u8; 16];
    // Up to 256 bytes come whole (getrandom(2)).
    getrandom(&mut bits, GetRandomFlags::empty()).context("getting random bits for a token")?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether they are the same; takes the same time whatever stands in them.
pub(crate) fn equal(found: &str, expected: &str) -> bool {
    let differs = found.bytes().zip(expected.bytes()).fold(0, |differs, (a, b)| black_box(differs | (a ^ b)));
    found.len() == expected.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_never_the_same_and_equal_themselves() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 32);
        assert_eq!(crate::arguments::token(&one).as_ref(), Ok(&one));
        assert!(equal(&one, &one) && !equal(&one, &other));
        assert!(!equal(&one[..31], &one) && !equal("", &one) && equal("", ""));
    }
}
