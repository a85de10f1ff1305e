//! What keeps the operating system from making frames late: real-time priority, a CPU of one's own, locked memory.

use anyhow::Context;
use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{CpuSet, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::arguments::Arguments;
use framebus_program::usage;

/// Does what was asked for, to the calling thread (priority, CPU) and to the process (memory).
pub(crate) fn apply(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(cpu) = arguments.cpu {
        pin(cpu)?;
    }
    if arguments.lock_memory {
        // On fault: what is never touched stays free, and most slots of a stream never are.
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).map_err(|error| {
            anyhow::anyhow!(
                "can not lock the memory of this process (--lock-memory): {error}; raise the limit (ulimit -l unlimited), or \
                 give the program CAP_IPC_LOCK"
            )
        })?;
    }
    if let Some(priority) = arguments.realtime {
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        ThreadPriorityValue::try_from(priority)
            .and_then(|value| {
                set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy)
                    .map_err(|error| priority_error(&error))
            })
            .map_err(|error| {
                anyhow::anyhow!(
                    "can not run at real-time priority {priority} (--realtime): {error}; raise the limit (ulimit -r \
                     {priority}), or give the program CAP_SYS_NICE"
                )
            })?;
    }
    Ok(())
}

fn priority_error(error: &thread_priority::Error) -> String {
    match error {
        thread_priority::Error::OS(number) => std::io::Error::from_raw_os_error(*number).to_string(),
        other => format!("{other:?}"),
    }
}

fn pin(cpu: usize) -> anyhow::Result<()> {
    let online = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let none =
        || usage!("can not run on CPU {cpu} (--cpu): this process may use {online} CPUs; look at them with lscpu -e");
    if cpu >= CpuSet::MAX_CPU {
        return Err(none());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    match sched_setaffinity(None, &set) {
        // EINVAL: no CPU of the set exists, or the process's cgroup has none of them.
        Err(Errno::INVAL) => Err(none()),
        result => result.with_context(|| format!("can not run on CPU {cpu} (--cpu)")),
    }
}
