//! System calls that end a process or wait, and the line to the test that all is ready.

use std::thread;

pub fn exit_group(code: i32) -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}

/// The bare system call: libc's `exit` ends the whole group.
pub fn exit_thread(code: i32) -> ! {
    // SAFETY: ends this thread alone; the others use nothing of its stack.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("SYS_exit does not return")
}

pub fn wait_for_ever() -> ! {
    loop {
        thread::park();
    }
}

/// Says to the test that what it wants to do to this process may begin.
pub fn ready() {
    println!("ready");
}

/// Waits for the end of standard input.
pub fn await_input() {
    std::io::read_to_string(std::io::stdin()).expect("readable");
}
