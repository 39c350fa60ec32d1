use proptest::prelude::*;

use super::*;

const ID: &str = "fde52866596d3bde61d7413e096ef9e36dfed44d05ff92b3dd6dbf262b54c585";
const POD: &str = "/kubepods/burstable/pod5cb95b0e-1b5c-439a-8817-691649526e7a";

fn limit(log: &str) -> Option<OomLimit> {
    let (container, pod) =
        (ContainerId::parse(ID).unwrap(), PodRef::new("5cb95b0e-1b5c-439a-8817-691649526e7a"));
    limit_of(&Victim { pid: Pid(11707), container: &container, pod: &pod }, log)
}

/// As a 6.18 kernel says it.
fn kill(oom: &str, task: &str, name: &str, pid: u32) -> String {
    format!(
        "<6>[12773.344819] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0-1,3,\
         oom_memcg={oom},task_memcg={task},task={name},pid={pid},uid=0\n\
         <3>[12773.344862] Memory cgroup out of memory: Killed process {pid} ({name}) total-vm:264412kB\n"
    )
}

fn group(path: &str) -> String {
    format!("<6>[12773.3448] Tasks in {path} are going to be killed due to memory.oom.group set\n")
}

fn own() -> String {
    format!("{POD}/{ID}")
}

#[test]
fn the_cgroup_whose_limit_was_hit() {
    for (oom, expected) in [
        (own(), OomLimit::Container),
        (format!("{}/inner", own()), OomLimit::Container),
        (POD.into(), OomLimit::Pod),
        ("/kubepods/burstable".into(), OomLimit::Node),
        ("/".into(), OomLimit::Node),
        (format!("/system.slice/docker-{}.scope", "b".repeat(64)), OomLimit::Node),
    ] {
        assert_eq!(limit(&kill(&oom, &own(), "dd", 11707)), Some(expected), "{oom}");
    }
}

#[test]
fn the_nodes_memory() {
    let line = format!(
        "<6>[1.5] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg={},\
         task=dd,pid=11707,uid=0",
        own()
    );
    assert_eq!(limit(&line), Some(OomLimit::Node));
    assert_eq!(limit(&line.replace("CONSTRAINT_NONE", "CONSTRAINT_CPUSET")), None);
}

#[test]
fn kills_of_others_say_nothing() {
    let other = format!("{POD}/{}", "b".repeat(64));
    for log in [
        String::new(),
        kill(POD, &own(), "dd", 99),
        kill(POD, &other, "dd", 11707),
        kill(POD, &own(), "dd", 99) + &group(&other),
        // A group kill, and then one of which the kernel says nothing.
        kill(POD, &own(), "dd", 99) + &group(&own()) + &kill(POD, &other, "dd", 98),
    ] {
        let expected = log.contains("98").then_some(OomLimit::Pod);
        assert_eq!(limit(&log), expected, "{log}");
    }
}

#[test]
fn the_last_kill_counts() {
    let log = kill(&own(), &own(), "dd", 11707) + "unrelated\n" + &kill(POD, &own(), "dd", 11707);
    assert_eq!(limit(&log), Some(OomLimit::Pod));
}

#[test]
fn a_group_kill_names_another_process() {
    for path in [own(), POD.into()] {
        let log = kill(&own(), &format!("{}/below", own()), "child", 99) + &group(&path);
        assert_eq!(limit(&log), Some(OomLimit::Container));
    }
}

#[test]
fn a_commands_name_may_hold_anything() {
    assert_eq!(limit(&kill(POD, &own(), "a,pid=1,uid=0", 11707)), Some(OomLimit::Pod));
    assert_eq!(limit(&kill(POD, &own(), ",oom_memcg=/", 11707)), Some(OomLimit::Pod));
    assert_eq!(limit(&kill(POD, &own(), "a,pid=11707,uid", 99)), None);
}

proptest! {
    #[test]
    fn no_log_panics(log in "\\PC*", cut in 0..400usize) {
        let line = kill(POD, &own(), &log, 11707);
        let cut = line.char_indices().nth(cut).map_or(line.len(), |(at, _)| at);
        limit(&line[..cut]);
        limit(&format!("oom-kill:constraint={log}"));
    }
}
