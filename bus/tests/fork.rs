//! A forked child of a process with open handles: it can do nothing with them, and nothing to them.

use framebus::*;

/// What a child saw, a bit a question.
fn in_a_child(questions: impl FnOnce() -> u8) -> u8 {
    // SAFETY: the child uses what its one thread owned, and leaves without running anything else's destructors.
    unsafe {
        let child = libc::fork();
        assert_ne!(child, -1);
        if child == 0 {
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(questions)).unwrap_or(0x80);
            libc::_exit(answer.into());
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert!(libc::WIFEXITED(status), "the child died: status {status:#x}");
        libc::WEXITSTATUS(status) as u8
    }
}

#[test]
fn handles_are_refused_in_a_child_and_stay_good_in_the_parent() {
    let name = StreamName::new(&format!("test-{}-fork", std::process::id()), "front").unwrap();
    let mut publisher = Publisher::open(&name, &StreamOptions::new(Content::Bytes { capacity: 64 })).unwrap();
    let mut subscriber = Subscriber::attach(&name).unwrap();
    publisher.loan().unwrap().publish();
    let held = subscriber.latest().unwrap().unwrap();

    let mut handles = Some((publisher, subscriber, held));
    let answer = in_a_child(|| {
        let (mut publisher, mut subscriber, held) = handles.take().unwrap();
        let mut answer = 0;
        answer |= u8::from(matches!(publisher.loan().map(drop), Err(LoanError::Forked { .. })));
        answer |= u8::from(matches!(subscriber.latest(), Err(AcquireError::Forked { .. }))) << 1;
        answer |= u8::from(matches!(subscriber.wait(std::time::Instant::now()), Err(AcquireError::Forked { .. }))) << 2;
        answer |= u8::from(!subscriber.has_newer() && publisher.subscribers() == 0) << 3;
        answer |= u8::from(subscriber.publisher() == PublisherState::Gone) << 4;
        // Dropping does nothing to the parent's stream, leases and pins.
        drop((publisher, subscriber, held));
        // A child may open its own.
        let own = Subscriber::attach(&name).is_ok_and(|mut own| own.latest().is_ok_and(|frame| frame.is_some()));
        answer | u8::from(own) << 5
    });
    assert_eq!(answer, 0b11_1111);

    let (mut publisher, mut subscriber, held) = handles.take().unwrap();
    assert_eq!((held.len(), subscriber.held()), (64, 1));
    assert_eq!(publisher.subscribers(), 1, "the lease is still held");
    publisher.loan().unwrap().publish();
    assert_eq!(subscriber.latest().unwrap().unwrap().info().sequence, 2);
    assert_eq!(held.info().sequence, 1);
}
