//! Processes of several threads.

use std::{
    os::unix::process::CommandExt,
    process::Command,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use crate::{
    Way,
    system::{await_input, exit_group, exit_thread, ready, wait_for_ever},
};

const A_WHILE: Duration = Duration::from_millis(100);

/// How many race.
const RACING: i32 = 64;

pub fn way(name: &str) -> Option<Way> {
    Some(match name {
        "thread-exits-group" => thread_exits_group,
        "zombie-leader" => zombie_leader,
        "zombie-leader-waits" => zombie_leader_waits,
        "threads-exit-one-by-one" => threads_exit_one_by_one,
        "thread-execs" => thread_execs,
        "threads-race" => threads_race,
        "threads-race-alone" => threads_race_alone,
        _ => return None,
    })
}

/// The group ends from a thread that is not its leader.
fn thread_exits_group(_: &str) -> ! {
    thread::spawn(|| {
        thread::sleep(A_WHILE);
        exit_group(7)
    });
    wait_for_ever()
}

/// The leader is a zombie while a thread lives on; then the thread ends the group.
fn zombie_leader(_: &str) -> ! {
    thread::spawn(|| {
        thread::sleep(A_WHILE);
        exit_group(3)
    });
    exit_thread(5)
}

/// The leader is a zombie; a thread waits for standard input to end, then ends the group with 6.
fn zombie_leader_waits(_: &str) -> ! {
    thread::spawn(|| {
        ready();
        await_input();
        exit_group(6)
    });
    exit_thread(5)
}

/// No thread calls exit_group: leader first, last thread later. Kernels differ in whose code counts.
fn threads_exit_one_by_one(_: &str) -> ! {
    thread::spawn(|| {
        thread::sleep(A_WHILE);
        exit_thread(7)
    });
    exit_thread(5)
}

/// Exec from a thread takes over the leader's pid; all other threads go.
fn thread_execs(_: &str) -> ! {
    thread::spawn(|| {
        let error = Command::new("/bin/sh").args(["-c", "sleep 0.1; exit 9"]).exec();
        panic!("exec: {error}");
    });
    wait_for_ever()
}

/// Many threads race to end the group, each with another code.
fn threads_race(_: &str) -> ! {
    race(&Arc::new(Barrier::new(RACING as usize)), exit_group);
    wait_for_ever()
}

/// Many threads and the leader race to end, each itself alone: none calls exit_group.
fn threads_race_alone(_: &str) -> ! {
    let all = Arc::new(Barrier::new(RACING as usize + 1));
    race(&all, exit_thread);
    all.wait();
    exit_thread(0)
}

/// Threads that end in a way once all are there.
fn race(all: &Arc<Barrier>, end: fn(i32) -> !) {
    for code in 1..=RACING {
        let all = Arc::clone(all);
        thread::spawn(move || {
            all.wait();
            end(code)
        });
    }
}
