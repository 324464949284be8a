//! The story: what a GitOps agent is for, one step after the other.

use std::time::Duration;

use anyhow::{Error, Result, ensure};
use serde_json::Value;

use crate::cluster::{Cluster, NAMESPACE};
use crate::say::{self, hint};
use crate::stage::{ENVIRONMENT, Stage, shown};
use crate::watch::FieldWatch;

const OVERLAY: &str = "apps/api/overlays/staging/kustomization.yaml";

/// Plays it, and checks each step.
pub fn tell(stage: &mut Stage) -> Result<()> {
    first_sync(stage)?;
    look_before(stage)?;
    roll_out(stage)?;
    prune(stage)?;
    revert(stage)?;
    read_the_record(stage)?;
    let took = say::duration(stage.steps.elapsed());
    say::heading(&format!("That was the story; it took {took}."));
    Ok(())
}

fn first_sync(stage: &mut Stage) -> Result<()> {
    let mut step = stage
        .steps
        .next("Run the agent: the cluster becomes what Git declares");
    say::why(
        "It applies the namespace and the CRD first, waits until the API server knows the new\n\
         kind, goes on with the rest, and waits until all of it is healthy.",
    );
    step.restart();
    let command = stage.start_agent();
    say::command(&command);
    let revision = stage.repository.git(&["rev-parse", "HEAD"])?;
    let (units, objects) = stage.wait_until_healthy(revision.trim(), "web")?;
    step.done(&format!("{objects} objects in {units} units, all healthy"));
    say::command("agent status");
    let status = stage.run_agent(&["status"]);
    ensure!(status.code == Some(0), "agent status: {status:?}");
    say::output(&status.stdout);
    say::command("kubectl -n shop get deployments,featureflags");
    say::output(
        &stage
            .cluster
            .kubectl(&["-n", "shop", "get", "deployments,featureflags"])?,
    );
    Ok(())
}

fn look_before(stage: &mut Stage) -> Result<()> {
    let step = stage.steps.next("Look before you commit: agent diff");
    say::why(
        "The API gets a new version. The file is changed but not committed; `agent diff` shows\n\
         what the agent would do, and does nothing.",
    );
    stage
        .repository
        .edit(OVERLAY, "newTag: 6.7.0", "newTag: 6.8.0")?;
    say::command("sed -i 's/6.7.0/6.8.0/' apps/api/overlays/staging/kustomization.yaml");
    say::command("agent diff");
    let diff = stage.run_agent(&["diff"]);
    say::output(&diff.stdout);
    let one_image = diff.stdout.contains("podinfo:6.7.0") && diff.stdout.contains("podinfo:6.8.0");
    ensure!(
        diff.code == Some(1) && one_image,
        "agent diff was to show the new image and exit with 1: {diff:?}"
    );
    step.done("exit code 1: there are differences");
    Ok(())
}

fn roll_out(stage: &mut Stage) -> Result<()> {
    let mut step = stage.steps.next("Commit it: the new version rolls out");
    step.restart();
    let revision = stage.repository.commit("Update the API to 6.8.0")?;
    say::command("git commit -a -m 'Update the API to 6.8.0'");
    stage.wait("the new version of the API to be live", |stage| {
        let live = deployment(stage, "api")?;
        let image = &live["spec"]["template"]["spec"]["containers"][0]["image"];
        if image == "podinfo:6.8.0" {
            Ok(())
        } else {
            Err(format!("image {image}"))
        }
    })?;
    step.done("the Deployment has the new image");
    stage.wait_until_healthy(&revision, "api")?;
    let live = deployment(stage, "api").map_err(Error::msg)?;
    let (ready, updated) = (
        &live["status"]["readyReplicas"],
        &live["status"]["updatedReplicas"],
    );
    ensure!(
        *ready == 2 && *updated == 2,
        "the agent says that the API is healthy, but {ready} of its Pods are ready and {updated} new"
    );
    step.done("its Pods are replaced, and it is healthy");
    Ok(())
}

fn prune(stage: &mut Stage) -> Result<()> {
    let mut step = stage.steps.next("Remove a file: the object goes away");
    say::why(
        "The summer sale is over. What the agent applied and Git no longer declares, it prunes;\n\
         what it did not apply, it never touches.",
    );
    step.restart();
    stage
        .repository
        .git(&["rm", "--quiet", "apps/web/summer-sale.yaml"])?;
    let revision = stage.repository.commit("End the summer sale")?;
    say::command("git rm apps/web/summer-sale.yaml; git commit -m 'End the summer sale'");
    stage.wait("the feature flag to be gone", |stage| {
        let words = ["-n", "shop", "get", "featureflags", "-oname"];
        let flags = stage
            .cluster
            .kubectl(&words)
            .map_err(|error| format!("{error:#}"))?;
        if flags.contains("new-checkout") && !flags.contains("summer-sale") {
            Ok(())
        } else {
            Err(flags)
        }
    })?;
    step.done("FeatureFlag shop/summer-sale is gone, new-checkout is still there");
    stage.wait_until_healthy(&revision, "web").map(drop)
}

fn revert(stage: &mut Stage) -> Result<()> {
    stage
        .steps
        .next("Change the cluster behind its back: it is put back");
    say::why("The agent watches what it applied, so it need not wait for an interval.");
    let object = ["shop", "deployment", "web"];
    let watch = FieldWatch::start(&stage.cluster, object, ".spec.replicas")?;
    watch.until("2", stage.patience)?;
    let scale = ["-n", "shop", "scale", "deployment", "web", "--replicas=5"];
    say::command(&format!("kubectl {}", scale.join(" ")));
    stage.cluster.kubectl(&scale)?;
    let scaled = watch.until("5", stage.patience)?;
    let reverted = stage.wait("the scale to be reverted", |_| {
        watch
            .until("2", Duration::from_millis(500))
            .map_err(|error| error.to_string())
    })?;
    say::done_in("two replicas again", reverted - scaled);
    Ok(())
}

fn read_the_record(stage: &mut Stage) -> Result<()> {
    let step = stage.steps.next("Read what happened: git log");
    say::why(
        "The agent writes one commit for each thing that happened to the branch live/staging:\n\
         what was synced and by whose commit, who drifted what, what was put back.",
    );
    let branch = format!("live/{ENVIRONMENT}");
    stage.wait("the revert to be in the record", |stage| {
        let log = stage.repository.git(&["log", "--format=%s", &branch]);
        let log = log.map_err(|error| format!("{error:#}"))?;
        let newest_first: Vec<_> = log.lines().collect();
        let position = |text: &str| newest_first.iter().position(|line| line.contains(text));
        match (position("revert drift on"), position("sync web")) {
            (Some(revert), Some(sync)) if revert < sync => Ok(()),
            _ => Err(log),
        }
    })?;
    let log = ["log", "--format=%h %<(13,trunc)%an %s", &branch];
    say::command(&format!(
        "git log --format='{}' {branch}",
        "%h %<(13,trunc)%an %s"
    ));
    say::output(&stage.repository.git(&log)?);
    let drift = ["log", "-1", "--format=%B", "--grep=revert drift", &branch];
    say::command(&format!(
        "git log -1 --format=%B --grep='revert drift' {branch}"
    ));
    let entry = stage.repository.git(&drift)?;
    say::output(&entry);
    ensure!(
        entry.contains("Cause: drift") && entry.contains("spec.replicas"),
        "the entry was to name the cause and the field"
    );
    step.done("and `git log -p` shows the objects themselves");
    Ok(())
}

/// How the user can go on by themselves.
pub fn look_around(stage: &Stage) {
    say::heading("It all stays up until Ctrl-C. To look around, in another terminal:");
    println!();
    match &stage.cluster {
        Cluster::Own(plane) => {
            hint(
                &format!("export KUBECONFIG={}", plane.kubeconfig().display()),
                "",
            );
        }
        Cluster::Theirs(theirs) => {
            hint(
                &format!(
                    "export AGENT_CONTEXT={} AGENT_NAMESPACE={NAMESPACE}",
                    theirs.context
                ),
                "",
            );
            hint(
                &format!("kubectl config use-context {}", theirs.context),
                "",
            );
        }
    }
    hint(&format!("export PATH={}:$PATH", shown(&stage.programs)), "");
    hint(&format!("cd {}", shown(stage.repository.path())), "");
    println!();
    hint("agent status", "how each unit stands");
    hint("kubectl -n shop get all,featureflags", "what is live");
    hint("kubectl -n shop delete service web", "see it come back");
    hint(
        "sed -i 's/replicas: 2/replicas: 3/' apps/web/deployment.yaml",
        "change something",
    );
    hint("agent diff", "what would happen");
    hint("git commit -a -m 'Try something'", "and it happens");
    hint("git log -p live/staging", "what happened, object by object");
    hint(
        &format!("curl http://{}/metrics", stage.admin_address),
        "for Prometheus",
    );
}

fn deployment(stage: &Stage, name: &str) -> Result<Value, String> {
    let words = ["-n", "shop", "get", "deployment", name, "-ojson"];
    let text = stage
        .cluster
        .kubectl(&words)
        .map_err(|error| format!("{error:#}"))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
