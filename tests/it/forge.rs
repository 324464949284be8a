//! What the agent asks of a forge, on the real Gitea.

use std::sync::Arc;
use std::thread;

use agent::forge::{
    CommitStatus, Forge, ForgeAddress, ForgeError, ForgeKind, ForgeToken, Kept, NewPullRequest,
    PullState, Section, Standing, StatusState, connect, keep_comment,
};
use agent::model::{Redacted, Revision};
use agent::runtime::net::Tls;
use tokio::runtime::Runtime;

use crate::support::gitea::{Forged, Gitea, User};
use crate::support::stage::PATIENCE;
use crate::support::wait::wait_seeing;

fn forge_of(forged: &Forged<'_>, user: &User) -> Arc<dyn Forge> {
    let url = forged.repository.url().parse().unwrap();
    let address = ForgeAddress::of(&url, Some(ForgeKind::Gitea), None);
    let token = ForgeToken::Given(Redacted::new(&*user.token));
    connect(&address.unwrap().unwrap(), token, &Tls::default()).unwrap()
}

#[test]
fn pull_requests_say_whose_they_are() {
    let gitea = Gitea::shared();
    let [owner, writer, guest] = ["owner", "writer", "guest"].map(|name| gitea.user(name));
    let forged = gitea.repository(&owner, "deploy");
    forged.repository.commit("Start", &[("a.txt", "a\n")]);
    forged.let_in(&writer, "write");
    forged.let_in(&guest, "read");
    let head = forged.branch("more", "More", &[("a.txt", "b\n")]);
    let first = forged.open(&owner, "Mine", "more");
    forged.branch("less", "Less", &[("a.txt", "c\n")]);
    let second = forged.open(&writer, "Yours", "less");
    forged
        .fork(&guest)
        .branch("theirs", "Theirs", &[("a.txt", "d\n")]);
    let third = forged.open(&guest, "Theirs", &format!("{}:theirs", guest.name));

    let runtime = Runtime::new().unwrap();
    // As the owner, and as somebody who may not ask for others' rights.
    for user in [&owner, &writer] {
        let pulls = runtime
            .block_on(forge_of(&forged, user).open_pull_requests("main"))
            .unwrap();
        let seen: Vec<_> = pulls
            .iter()
            .map(|pull| (pull.number, pull.author.standing, pull.head.fork))
            .collect();
        let stranger = if user == &owner {
            Standing::Stranger
        } else {
            Standing::Member
        };
        assert_eq!(
            seen,
            [
                (first, Standing::Member, false),
                (second, Standing::Member, false),
                // To whoever may not see more, one who was let in is a member.
                (third, stranger, true),
            ],
            "{}",
            user.name
        );
        assert_eq!(pulls[0].head.revision.as_str(), head);
        assert_eq!(
            (pulls[0].title.as_str(), pulls[0].base.as_str()),
            ("Mine", "main")
        );
        assert_eq!(pulls[0].author.name, owner.name);
    }
}

#[test]
fn a_proposal_is_opened_changed_merged_or_closed() {
    let gitea = Gitea::shared();
    let owner = gitea.user("owner");
    let forged = gitea.repository(&owner, "deploy");
    forged.repository.commit("Start", &[("a.txt", "a\n")]);
    let forge = forge_of(&forged, &owner);
    let runtime = Runtime::new().unwrap();
    let open = |branch: &str| {
        forged.branch(branch, "More", &[("a.txt", branch)]);
        forged.until_filled();
        let wanted = NewPullRequest {
            head: branch.to_owned(),
            base: "main".to_owned(),
            title: "Keep it".to_owned(),
            text: "As it is.".to_owned(),
        };
        runtime.block_on(forge.open(&wanted)).unwrap()
    };
    let (kept, dropped) = (open("agent/one"), open("agent/two"));
    assert_eq!(kept.state, PullState::Open);
    runtime
        .block_on(forge.edit(kept.number, "Keep this", "As it was."))
        .unwrap();
    // Gitea changes the text after the title.
    wait_seeing("title and text to be others", PATIENCE, || {
        let seen = forged.pull_request(kept.number);
        if seen["title"] == "Keep this" && seen["body"] == "As it was." {
            Ok(())
        } else {
            Err(seen)
        }
    });

    runtime.block_on(forge.close(dropped.number)).unwrap();
    let from = runtime
        .block_on(forge.pull_requests_from("agent/two"))
        .unwrap();
    assert_eq!(from.len(), 1);
    assert_eq!(from[0].state, PullState::Closed);

    let commit = forged.merge(kept.number);
    let merged = runtime.block_on(forge.pull_request(kept.number)).unwrap();
    let PullState::Merged(closed) = merged.state else {
        panic!("{merged:?}");
    };
    assert_eq!(closed.by, Some(owner.name));
    assert_eq!(closed.revision.unwrap().as_str(), commit);
    assert_eq!(
        runtime.block_on(forge.open_pull_requests("main")),
        Ok(Vec::new())
    );
}

#[test]
fn a_comment_is_written_once_and_a_status_takes_the_place_of_another() {
    let gitea = Gitea::shared();
    let (owner, other) = (gitea.user("owner"), gitea.user("other"));
    let forged = gitea.repository(&owner, "deploy");
    forged.repository.commit("Start", &[("a.txt", "a\n")]);
    forged.let_in(&other, "write");
    let head: Revision = forged
        .branch("more", "More", &[("a.txt", "b\n")])
        .parse()
        .unwrap();
    let number = forged.open(&owner, "More", "more");
    let (forge, others) = (forge_of(&forged, &owner), forge_of(&forged, &other));
    let runtime = Runtime::new().unwrap();
    let keep = |forge: &Arc<dyn Forge>, names: &[&str], text: &str| {
        let section = |name: &&str| Section {
            name: (*name).to_owned(),
            text: text.to_owned(),
        };
        let sections: Vec<_> = names.iter().map(section).collect();
        runtime
            .block_on(keep_comment(&**forge, number, "preview", &sections))
            .unwrap()
    };
    // Of another who writes the same marker, nothing is touched.
    assert_eq!(keep(&others, &["staging"], "theirs\n"), Kept::Written);
    assert_eq!(keep(&forge, &["staging"], "a  \n\n| b |\n"), Kept::Written);
    assert_eq!(keep(&forge, &["staging"], "a  \n\n| b |\n"), Kept::Same);
    assert_eq!(keep(&forge, &["production"], "c\n"), Kept::Changed);
    assert_eq!(
        keep(&forge, &["production", "staging"], "d\n"),
        Kept::Changed
    );
    assert_eq!(keep(&forge, &["staging"], "e\n"), Kept::Changed);
    let comments = forged.comments(number);
    assert_eq!(comments.len(), 2, "{comments:?}");
    assert!(comments[1].contains("-->\nd\n<!--"), "{comments:?}");
    assert!(comments[1].contains("-->\ne\n<!--"), "{comments:?}");

    // Many who know nothing of each other end with one comment that has all.
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (forged, owner) = (&forged, &owner);
            scope.spawn(move || {
                let runtime = Runtime::new().unwrap();
                let section = Section {
                    name: name.to_owned(),
                    text: format!("of {name}\n"),
                };
                let keep = || {
                    let forge = forge_of(forged, owner);
                    runtime.block_on(keep_comment(
                        &*forge,
                        number,
                        "race",
                        std::slice::from_ref(&section),
                    ))
                };
                // Gitea fails where two write at the same time.
                wait_seeing("the section to stay", PATIENCE, || match keep() {
                    Ok(Kept::Same) => Ok(()),
                    other => Err(format!("{other:?}")),
                });
            });
        }
    });
    let mut comments = forged.comments(number);
    comments.retain(|comment| comment.contains("gitops-agent race"));
    assert_eq!(comments.len(), 1, "{comments:?}");

    let set = |state, text: &str| {
        let status = CommitStatus::new("agent/staging".to_owned(), state, text, None);
        runtime.block_on(forge.set_status(&head, &status)).unwrap();
        assert_eq!(runtime.block_on(forge.statuses(&head)), Ok(vec![status]));
    };
    set(StatusState::Pending, "it is planned");
    set(StatusState::Failure, "it cannot be");
    set(StatusState::Success, "1 to change");

    let nobody = runtime.block_on(forge.pull_request(9_999)).unwrap_err();
    assert!(matches!(nobody, ForgeError::NotFound { .. }), "{nobody}");
}
