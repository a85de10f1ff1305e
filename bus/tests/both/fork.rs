//! A forked child of a process with open handles: it can do nothing with them, and nothing to them.

use framebus::*;

use crate::common::{attach, options};

/// What a child saw, a bit a question.
pub fn in_a_child(questions: impl FnOnce() -> u8) -> u8 {
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
    let mut publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 64 })).unwrap();
    let mut subscriber = attach(&name).unwrap();
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
        let own = attach(&name).is_ok_and(|mut own| own.latest().is_ok_and(|frame| frame.is_some()));
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

/// Reads a number that a forked process wrote into a pipe.
fn read_number(pipe: i32) -> i32 {
    let mut bytes = [0_u8; 4];
    // SAFETY: the buffer has four bytes.
    assert_eq!(unsafe { libc::read(pipe, bytes.as_mut_ptr().cast(), 4) }, 4);
    i32::from_ne_bytes(bytes)
}

/// A process that publishes one frame of 64 bytes, and then nothing more.
#[cfg(feature = "async")]
pub struct ForkedPublisher(i32);

#[cfg(feature = "async")]
impl ForkedPublisher {
    pub fn kill(self) {
        // SAFETY: our own child, which nobody else waits for.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}

#[cfg(feature = "async")]
pub fn fork_publisher(name: &StreamName) -> ForkedPublisher {
    let mut pipe = [0; 2];
    // SAFETY: pipe fills two numbers. The child uses what its one thread makes, and does not return.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let mut publisher = Publisher::open(name, &options(Content::Bytes { capacity: 64 })).unwrap();
            publisher.loan().unwrap().publish();
            libc::write(pipe[1], 1_i32.to_ne_bytes().as_ptr().cast(), 4);
            libc::sleep(60);
            libc::_exit(1);
        }
        read_number(pipe[0]);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        ForkedPublisher(child)
    }
}

#[test]
fn a_forked_child_does_not_keep_the_leases_of_its_dead_parent() {
    let name = StreamName::new(&format!("test-{}-orphan", std::process::id()), "front").unwrap();
    let mut pipe = [0; 2];
    // SAFETY: pipe fills two numbers. The child uses what its one thread owns, and neither process returns.
    let parent = unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        match libc::fork() {
            0 => {
                let mut publisher = Publisher::open(&name, &options(Content::Bytes { capacity: 64 })).unwrap();
                publisher.loan().unwrap().publish();
                let mut subscriber = attach(&name).unwrap();
                let held = subscriber.latest().unwrap().unwrap();
                if libc::fork() == 0 {
                    // Only now it has closed what it inherited.
                    libc::write(pipe[1], libc::getpid().to_ne_bytes().as_ptr().cast(), 4);
                }
                libc::sleep(60);
                std::mem::forget((publisher, subscriber, held));
                libc::_exit(1)
            }
            parent => parent,
        }
    };
    let child = read_number(pipe[0]);
    let busy = Publisher::open(&name, &options(Content::Bytes { capacity: 64 })).map(drop).unwrap_err();
    assert!(matches!(busy, OpenError::Busy { pid: Some(pid), .. } if pid as i32 == parent), "{busy}");
    // SAFETY: both processes are our own.
    unsafe {
        libc::kill(parent, libc::SIGKILL);
        libc::waitpid(parent, std::ptr::null_mut(), 0);
        assert_eq!(libc::kill(child, 0), 0, "the child lives on");
    }
    let mut successor = Publisher::open(&name, &options(Content::Bytes { capacity: 64 })).unwrap();
    assert_eq!(successor.loan().unwrap().publish(), 2);
    assert_eq!(successor.subscribers(), 0, "the dead one's place is free");
    // SAFETY: as above; the child's parent is dead, so nobody waits for it here.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
    }
}
