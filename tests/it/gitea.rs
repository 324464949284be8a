//! The forge that other tests run on.

use serde_json::Value;

use crate::support::git::git;
use crate::support::gitea::Gitea;

#[test]
fn takes_a_push_a_pull_request_and_its_merge() {
    let gitea = Gitea::shared();
    let (owner, guest) = (gitea.user("owner"), gitea.user("guest"));
    let forged = gitea.repository(&owner, "deploy");
    forged.repository.commit("Start", &[("a.txt", "a\n")]);
    assert_eq!(forged.repository.log("main"), ["Start"]);

    let head = forged.branch("more", "Say more", &[("a.txt", "a\nb\n")]);
    let number = forged.open(&owner, "More", "more");
    assert_eq!(forged.pull_request(number)["head"]["sha"], *head);
    let merged = forged.merge(number);
    assert_eq!(forged.repository.show("main", "a.txt").unwrap(), "a\nb\n");
    assert_eq!(
        forged.pull_request(number)["merged_by"]["login"],
        *owner.name
    );
    assert_eq!(forged.repository.log_as("main", "%H")[0], merged);

    // Who was not let in sees nothing of it.
    let path = format!("/repos/{}/deploy", owner.name);
    let look = || gitea.try_call(&guest, "GET", &path, &Value::Null);
    assert!(look().is_err());
    forged.let_in(&guest, "read");
    assert_eq!(look().unwrap()["name"], "deploy");
    let fork = forged.fork(&guest);
    fork.branch("theirs", "From outside", &[("b.txt", "b\n")]);
    let number = forged.open(&guest, "Theirs", &format!("{}:theirs", guest.name));
    let reference = format!("refs/pull/{number}/head");
    git(
        &forged.repository.remote(),
        &["rev-parse", "--verify", &reference],
    );
}

#[test]
fn is_there_again_after_it_was_away() {
    let gitea = Gitea::start().unwrap();
    let owner = gitea.user("owner");
    let forged = gitea.repository(&owner, "deploy");
    forged.repository.commit("Start", &[("a.txt", "a\n")]);
    gitea.stop();
    let path = format!("/repos/{}/deploy", owner.name);
    let look = || gitea.try_call(&owner, "GET", &path, &Value::Null);
    assert!(look().is_err());
    gitea.start_again();
    assert_eq!(
        look().unwrap()["full_name"],
        format!("{}/deploy", owner.name)
    );
}
