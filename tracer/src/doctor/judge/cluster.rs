//! What the cluster's answers mean.

use super::super::facts::{ClusterFacts, NodeFound, Problem, RuntimeClassFound};
use super::{Finding, parts};

pub(super) fn findings(facts: &ClusterFacts) -> Vec<Finding> {
    vec![
        api(facts),
        node(facts.node.as_ref()),
        right("right to list pods", facts.list_pods.as_ref()),
        right("right to watch pods", facts.watch_pods.as_ref()),
        sandboxes(facts.runtime_classes.as_ref()),
    ]
}

fn api(facts: &ClusterFacts) -> Finding {
    const CHECK: &str = "API server";
    match (&facts.client, &facts.version) {
        (Some(Err(problem)), _) | (_, Some(Err(problem))) => Finding::problem(CHECK, problem),
        (_, Some(Ok(version))) => Finding::ok(CHECK, format!("reached, Kubernetes {version}")),
        (_, None) => not_asked(CHECK),
    }
}

fn node(found: Option<&Result<NodeFound, Problem>>) -> Finding {
    const CHECK: &str = "node";
    let node = match found {
        Some(Ok(node)) => node,
        Some(Err(problem)) => return Finding::problem(CHECK, problem),
        None => return not_asked(CHECK),
    };
    if let Some(why) = &node.unchecked {
        let (why, hint) = parts(why);
        let what = format!("taken to be {}, unchecked: {why}", node.name);
        return Finding { hint, ..Finding::warning(CHECK, what, "") };
    }
    let what = format!("this machine is node {}, {}", node.name, node.runtime);
    let known = ["containerd://", "cri-o://"].iter().any(|scheme| node.runtime.starts_with(scheme));
    if known || node.runtime.is_empty() {
        return Finding::ok(CHECK, what.trim_end_matches(", "));
    }
    let what = format!("{what}: its bundles are not read, so short sessions stay without a name");
    Finding::warning(CHECK, what, "use containerd or CRI-O")
}

fn right(check: &'static str, asked: Option<&Result<(), Problem>>) -> Finding {
    match asked {
        Some(Ok(())) => Finding::ok(check, "granted"),
        Some(Err(problem)) => Finding::problem(check, problem),
        None => not_asked(check),
    }
}

fn sandboxes(found: Option<&Result<Vec<RuntimeClassFound>, Problem>>) -> Finding {
    const CHECK: &str = "sandboxed runtimes";
    let classes = match found {
        Some(Ok(classes)) => classes,
        Some(Err(problem)) => return Finding::problem(CHECK, problem).no_more_than_a_warning(),
        None => return not_asked(CHECK),
    };
    let hidden: Vec<&str> =
        classes.iter().filter(|class| hides(&class.handler)).map(|class| class.name.as_str()).collect();
    if hidden.is_empty() {
        return Finding::ok(CHECK, "no RuntimeClass of gVisor or Kata");
    }
    let what = format!(
        "pods of RuntimeClass {} are a blind spot: their processes are hidden from this kernel",
        hidden.join(", ")
    );
    Finding::warning(CHECK, what, "debug a copy of such a pod without its runtimeClassName")
}

/// Handlers are names in the runtime's configuration; these are the ones that the projects' documents give.
fn hides(handler: &str) -> bool {
    let handler = handler.to_ascii_lowercase();
    ["runsc", "gvisor", "kata"].iter().any(|sandbox| handler.contains(sandbox))
}

fn not_asked(check: &'static str) -> Finding {
    Finding::warning(
        check,
        "not known: the API server could not be asked",
        "fix what is said of the API server and the node",
    )
}
