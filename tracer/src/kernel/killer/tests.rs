use debugtrail_common::signal::NO_SYSCALL;

use super::*;

const KILLED: WaitStatus = WaitStatus(9);

/// `kill -SIGNAL` by the process 50.
fn by_process(signal: i32) -> SignalSent {
    let mut sent = SignalSent {
        boot_ns: 500,
        sender_start_boot_ns: 100,
        sender_cgroup_id: 7,
        sender_tgid: 50,
        signal: signal as u32,
        origin: origin::GIVEN,
        code: libc::SI_USER,
        sender_state: sender::SYSCALL_KNOWN | sender::TO_PROCESS,
        syscall: libc::SYS_kill as i32,
        ..SignalSent::NONE
    };
    sent.sender_comm[..5].copy_from_slice(b"kill\0");
    sent
}

/// In no system call.
fn of_origin(signal: i32, origin: u32, state: u32) -> SignalSent {
    let sender_state = state | sender::SYSCALL_KNOWN;
    SignalSent { origin, sender_state, syscall: NO_SYSCALL, ..by_process(signal) }
}

/// With a siginfo of that code, to the whole process or to a thread, in that system call.
fn given(signal: i32, code: i32, to: u32, syscall: i64) -> SignalSent {
    let sender_state = sender::SYSCALL_KNOWN | to;
    SignalSent { code, sender_state, syscall: syscall as i32, ..by_process(signal) }
}

/// The same where the kernel does not show the system call.
fn unknown(sent: SignalSent) -> SignalSent {
    SignalSent { sender_state: sent.sender_state & !sender::SYSCALL_KNOWN, syscall: NO_SYSCALL, ..sent }
}

fn sender() -> Option<Killer> {
    Some(Killer::Process(Sender {
        pid: Pid(50),
        forked: BootNanos(100),
        comm: "kill".into(),
        cgroup: CgroupId(7),
        cgroup_path: None,
        kin: Kin::default(),
        parent: None,
        daemon: None,
        at: BootNanos(500),
    }))
}

fn by(kill: KernelKill) -> Option<Killer> {
    Some(Killer::Kernel(kill))
}

#[test]
fn the_sender_of_the_signal_in_the_wait_status_is_the_killer() {
    let other = SignalSent { sender_tgid: 60, ..by_process(libc::SIGTERM) };
    assert_eq!(killer(KILLED, false, &[other, by_process(libc::SIGKILL), SignalSent::NONE]), sender());
    assert_eq!(killer(WaitStatus(libc::SIGTERM), false, &[by_process(libc::SIGTERM)]), sender());
    // With a core.
    assert_eq!(killer(WaitStatus(0x83), false, &[by_process(libc::SIGQUIT)]), sender());
}

#[test]
fn a_signal_that_did_not_end_it_has_no_killer() {
    let signals = [by_process(libc::SIGTERM), by_process(libc::SIGINT)];
    for status in [libc::SIGKILL, libc::SIGHUP] {
        assert_eq!(killer(WaitStatus(status), false, &signals), None, "{status:#x}");
    }
}

#[test]
fn the_last_sender_of_a_handled_signal_asked_for_the_exit() {
    let earlier = SignalSent { boot_ns: 400, sender_tgid: 60, ..by_process(libc::SIGINT) };
    for status in [0, 44 << 8, 143 << 8] {
        let asked =
            killer(WaitStatus(status), false, &[earlier, by_process(libc::SIGTERM), SignalSent::NONE]);
        assert!(matches!(asked, Some(Killer::Asked(sender)) if sender.pid == Pid(50)), "{status:#x}");
    }
    let kernels = [of_origin(libc::SIGPIPE, origin::NO_INFO, 0), of_origin(libc::SIGHUP, origin::KERNEL, 0)];
    assert_eq!(killer(WaitStatus(0), false, &kernels), None);
}

#[test]
fn without_a_known_signal_there_is_no_killer() {
    assert_eq!(killer(KILLED, false, &[SignalSent::NONE]), None);
    assert_eq!(killer(WaitStatus(0), false, &[SignalSent::NONE]), None);
    assert_eq!(killer(WaitStatus(0x137f), false, &[by_process(0x7f)]), None);
}

#[test]
fn a_process_may_also_queue_a_signal_or_send_it_to_a_thread() {
    for code in [libc::SI_USER, libc::SI_QUEUE, libc::SI_TKILL] {
        let sent = SignalSent { code, ..by_process(libc::SIGABRT) };
        assert_eq!(killer(WaitStatus(libc::SIGABRT), false, &[sent]), sender(), "{code}");
    }
}

#[test]
fn the_current_task_of_a_timer_is_never_named() {
    const SI_TIMER: i32 = -2;
    const SI_SIGIO: i32 = -5;
    for code in [SI_TIMER, SI_SIGIO] {
        for syscall in [i64::from(NO_SYSCALL), libc::SYS_write, libc::SYS_kill] {
            let sent = given(libc::SIGALRM, code, sender::TO_PROCESS, syscall);
            assert_eq!(killer(WaitStatus(libc::SIGALRM), false, &[sent]), None, "{code}");
            assert_eq!(killer(WaitStatus(libc::SIGALRM), false, &[unknown(sent)]), None, "{code}");
        }
    }
    // setitimer(2), Ctrl-C on a terminal, its hangup.
    for signal in [libc::SIGALRM, libc::SIGINT, libc::SIGHUP] {
        assert_eq!(killer(WaitStatus(signal), false, &[of_origin(signal, origin::KERNEL, 0)]), None);
    }
}

#[test]
fn a_code_of_the_senders_choice_hides_no_sender() {
    for syscall in [libc::SYS_rt_sigqueueinfo, libc::SYS_pidfd_send_signal, 178, X32 + 524] {
        // SI_TIMER, SI_MESGQ and one that the kernel has no use for.
        for code in [-2, -3, -1000] {
            let sent = given(libc::SIGKILL, code, sender::TO_PROCESS, syscall);
            assert_eq!(killer(KILLED, false, &[sent]), self::sender(), "{code} in {syscall}");
        }
    }
    let to_a_thread = given(libc::SIGKILL, -3, 0, libc::SYS_rt_tgsigqueueinfo);
    assert_eq!(killer(KILLED, false, &[to_a_thread]), self::sender());
    let asked = killer(WaitStatus(0), false, &[given(libc::SIGTERM, -3, 0, libc::SYS_rt_sigqueueinfo)]);
    assert!(matches!(asked, Some(Killer::Asked(sender)) if sender.pid == Pid(50)));
}

#[test]
fn a_code_of_ones_own_choice_makes_no_fault() {
    for signal in FAULTS {
        for (to, syscall) in [
            (sender::TO_PROCESS, libc::SYS_rt_sigqueueinfo),
            (sender::TO_PROCESS, libc::SYS_pidfd_send_signal),
            (0, libc::SYS_pidfd_send_signal),
            (0, libc::SYS_rt_tgsigqueueinfo),
        ] {
            for code in [1, libc::SI_KERNEL] {
                let sent = given(signal, code, to, syscall);
                assert_eq!(killer(WaitStatus(signal), false, &[sent]), self::sender(), "{signal}");
                // Its own or the kernel's: it can't be known which.
                assert_eq!(killer(WaitStatus(signal), false, &[unknown(sent)]), None);
            }
        }
    }
}

#[test]
fn without_the_system_call_the_code_may_show_a_process() {
    let sent = |code| unknown(given(libc::SIGKILL, code, sender::TO_PROCESS, libc::SYS_rt_sigqueueinfo));
    assert_eq!(killer(KILLED, false, &[sent(-1000)]), sender());
    for code in OF_THE_KERNEL {
        assert_eq!(killer(KILLED, false, &[sent(code)]), None, "{code}");
    }
}

#[test]
fn a_fault_is_the_processs_own() {
    for signal in FAULTS {
        for code in [1, libc::SI_KERNEL] {
            // On x86 the place of the system call holds the fault's own code, here of a write to an absent page.
            for syscall in [i64::from(NO_SYSCALL), 6] {
                let sent = given(signal, code, 0, syscall);
                assert_eq!(killer(WaitStatus(signal | 0x80), false, &[sent]), by(KernelKill::Fault));
            }
        }
        assert_eq!(killer(WaitStatus(signal), false, &[by_process(signal)]), sender());
    }
}

#[test]
fn a_childs_end_that_looks_like_a_fault_is_none() {
    // clone(2) with SIGSEGV as the child's signal; its code is CLD_EXITED.
    let exiting = sender::EXITING | sender::TO_PROCESS;
    for syscall in [libc::SYS_exit_group, libc::SYS_rt_sigqueueinfo] {
        let sent = given(libc::SIGSEGV, 1, exiting, syscall);
        assert_eq!(killer(WaitStatus(libc::SIGSEGV), false, &[sent]), None);
    }
}

#[test]
fn the_oom_killers_mark_shows_its_signal() {
    let sent = of_origin(libc::SIGKILL, origin::KERNEL, 0);
    assert_eq!(killer(KILLED, true, &[sent]), Some(Killer::Oom(None)));
    assert_eq!(killer(KILLED, false, &[sent]), None);
    // Its signal was not seen, its mark was.
    assert_eq!(killer(KILLED, true, &[]), Some(Killer::Oom(None)));
    // Marked, but ended by something else.
    assert_eq!(killer(WaitStatus(libc::SIGTERM), true, &[by_process(libc::SIGTERM)]), sender());
    assert_eq!(killer(KILLED, true, &[by_process(libc::SIGKILL)]), sender());
    assert_eq!(killer(WaitStatus(1 << 8), true, &[sent]), None);
}

#[test]
fn the_end_of_a_pid_namespace_takes_its_processes() {
    let zap = of_origin(libc::SIGKILL, origin::KERNEL, sender::EXITING | sender::INIT);
    assert_eq!(killer(KILLED, false, &[zap]), by(KernelKill::PidnsExit));
    for state in [sender::EXITING, sender::INIT] {
        assert_eq!(killer(KILLED, false, &[of_origin(libc::SIGKILL, origin::KERNEL, state)]), None);
    }
}

#[test]
fn a_kill_without_siginfo_is_known_by_its_system_call() {
    let within = |syscall, signal| SignalSent { syscall, ..of_origin(signal, origin::NO_INFO, 0) };
    let ptrace = libc::SYS_ptrace as i32;
    for syscall in [libc::SYS_kill as i32, libc::SYS_pidfd_send_signal as i32, 37, ptrace, 26] {
        assert_eq!(killer(KILLED, false, &[within(syscall, libc::SIGKILL)]), sender());
    }
    let asked = killer(WaitStatus(0), false, &[within(libc::SYS_kill as i32, libc::SIGTERM)]);
    assert!(matches!(asked, Some(Killer::Asked(sender)) if sender.pid == Pid(50)));
    // A parent's death signal, of one that was killed in its own kill(2).
    let death = SignalSent {
        sender_state: sender::EXITING | sender::SYSCALL_KNOWN,
        ..within(libc::SYS_kill as i32, libc::SIGKILL)
    };
    assert_eq!(killer(KILLED, false, &[death]), None);
    // To cgroup.kill, and to a closed pipe.
    let write = libc::SYS_write as i32;
    assert_eq!(killer(KILLED, false, &[within(write, libc::SIGKILL)]), by(KernelKill::CgroupKill));
    assert_eq!(killer(WaitStatus(libc::SIGPIPE), false, &[within(write, libc::SIGPIPE)]), None);
}

#[test]
fn cgroup_kill_has_no_siginfo_and_neither_has_a_parents_death() {
    assert_eq!(
        killer(KILLED, false, &[of_origin(libc::SIGKILL, origin::NO_INFO, 0)]),
        by(KernelKill::CgroupKill)
    );
    assert_eq!(killer(KILLED, false, &[of_origin(libc::SIGKILL, origin::NO_INFO, sender::EXITING)]), None);
    // A write to a closed pipe.
    assert_eq!(
        killer(WaitStatus(libc::SIGPIPE), false, &[of_origin(libc::SIGPIPE, origin::NO_INFO, 0)]),
        None
    );
}
