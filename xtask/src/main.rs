//! `cargo xtask`: one command per chore.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::cluster::Runtime;
use xtask::{bench, cluster, demo, fuzz, image, interrupt, lint, picture, scenario, setup, tiers};

/// Every chore of debugtrail.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing: system packages with apt, everything else inside target/.
    Setup {
        /// And this container runtime; can be given several times.
        #[arg(long = "runtime", value_name = "NAME", value_enum)]
        runtimes: Vec<Runtime>,
    },
    /// Build the eBPF object, then the release binary with the object inside.
    Build,
    /// Build the image that the DaemonSet of deploy/ runs, as an OCI archive in target/image.
    Image,
    /// The embedded single-node Kubernetes, kept for trials.
    #[command(subcommand)]
    Cluster(ClusterChore),
    /// A real debug session, from nothing to its record, and everything taken down again.
    Demo {
        /// Use the current kubeconfig's cluster in place of the embedded one.
        #[arg(long)]
        use_cluster: bool,
        /// Leave the embedded cluster up; `cargo xtask cluster down` ends it.
        #[arg(long, conflicts_with = "use_cluster")]
        keep: bool,
    },
    /// Run one scenario for real; print truth, API and record side by side.
    Scenario {
        /// A folder of scenarios/, such as 05-ephemeral-exit.
        #[arg(required_unless_present = "list")]
        name: Option<String>,
        /// List the scenarios.
        #[arg(long)]
        list: bool,
        /// What the embedded cluster runs containers with.
        #[arg(long, value_enum)]
        runtime: Option<Runtime>,
    },
    /// Run the tests, all tiers or those named; a tier that can't run here fails and says why.
    Test {
        /// Which tiers.
        #[arg(value_enum)]
        tiers: Vec<tiers::Tier>,
        #[command(flatten)]
        choice: tiers::Choice,
    },
    /// Measure, on this machine and a real Kubernetes, beside other tracers: about six minutes.
    Bench {
        /// Write the results as JSON, too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Which sections; all where none is named.
        #[arg(value_enum)]
        sections: Vec<bench::Section>,
    },
    /// Take the README's picture from a real run.
    Picture,
    /// Feed every parser of bytes from outside with what is nearly right.
    Fuzz {
        /// For how long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// rustfmt, clippy, rustdoc and cargo-deny.
    Lint,
    /// For xtask itself.
    #[command(subcommand, hide = true)]
    Internal(cluster::internal::Internal),
}

#[derive(Subcommand)]
enum ClusterChore {
    /// Start it and leave it running.
    Up {
        /// Run debugtrail's DaemonSet on it, by the files of deploy/.
        #[arg(long)]
        with_agent: bool,
        /// What it runs containers with.
        #[arg(long, value_enum, default_value_t)]
        runtime: Runtime,
    },
    /// Take it down, whoever left it.
    Down,
    /// Is it up, how to use it, and what is left of an old one.
    Status,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = dispatch(args.chore);
    interrupt::wait_if_interrupted();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(chore: Chore) -> anyhow::Result<()> {
    if let Chore::Internal(internal) = chore {
        return internal.run();
    }
    interrupt::install()?;
    match chore {
        Chore::Setup { runtimes } => {
            setup::run()?;
            runtimes.into_iter().try_for_each(setup::for_cluster)
        }
        Chore::Build => setup::run().and_then(|()| xtask::build::run()),
        Chore::Image => image::run(),
        Chore::Cluster(ClusterChore::Up { with_agent, runtime }) => cluster::chores::up(with_agent, runtime),
        Chore::Cluster(ClusterChore::Down) => cluster::chores::down(),
        Chore::Cluster(ClusterChore::Status) => cluster::chores::status(),
        Chore::Demo { use_cluster, keep } => demo::run(use_cluster, keep),
        Chore::Scenario { list: true, .. } => scenario::list(),
        Chore::Scenario { name, runtime, .. } => scenario::run_one(&name.unwrap_or_default(), runtime),
        Chore::Test { tiers, choice } => tiers::run(&tiers, &choice),
        Chore::Bench { json, sections } => bench::run(json.as_deref(), &sections),
        Chore::Fuzz { seconds } => fuzz::run(seconds),
        Chore::Lint => lint::run(),
        Chore::Picture => picture::run(),
        Chore::Internal(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_chore_and_option_is_named_once() {
        super::Args::command().debug_assert();
    }
}
