//! Scenes in which something else than a branch or reflog of a clone names content: another repository,
//! another remote, another worktree, a history of which a part is missing.
//!
//! Apart from `scenes` because a cleanup has to refuse in most of them, and goes again when what it did not
//! see is gone.

use std::fs;
use std::path::PathBuf;

use super::{History, content};
use crate::world::{MANIFEST, Place, oid, pointer};

impl<'a> History<'a> {
    /// It refuses, and says so; two weeks later it still does.
    fn refuses(&mut self, place: &Place<'a>, says: &str) {
        for _ in 0..2 {
            let before = self.stored();
            let ran = place.s3lfs(&["cleanup", "--force", "--fetch"]);
            let after = self.stored();
            let gone = before.keys().filter(|oid| !after.contains_key(*oid)).count();
            self.note(place, format!("s3lfs cleanup [{}], {gone} deleted", ran.code));
            self.check_published(&after);
            assert!(ran.code == 1 && gone == 0, "it does not see everything, and nothing is lost yet: {ran:#?}");
            ran.says(&[says]);
            self.days(15);
        }
    }

    /// On a commit that is published: with what a clone has kept to itself for weeks a push may be refused.
    pub fn published(&mut self, place: &Place<'a>) {
        self.git(place, &["fetch", "-q", "--prune", "--tags", "--force"]);
        if let Some(branch) = self.pick(place, "refs/remotes/origin") {
            self.git(place, &["switch", "-q", "-f", "--detach", &branch]);
        }
    }

    /// A repository of its own uses the prefix, too, and has published what nothing here names.
    pub fn another_repository(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (n, number) = (self.fresh(), self.tick());
        let (remote, guest) = (format!("remote-{number}.git"), format!("guest-{number}"));
        self.stage.world().at("").git(&["init", "-q", "--bare", "-b", "main", &remote]).ok();
        self.stage.world().at("").git(&["init", "-q", "-b", "main", &guest]).ok();
        let at = self.stage.at(&guest);
        at.git(&["remote", "add", "origin", &self.stage.world().url(&remote)]).ok();
        self.stage.init(&at, &["--join"]);
        at.s3lfs(&["git-setup", "--track", "*.bin"]).ok();
        at.git(&["add", "."]).ok();
        self.commit(&at, n);
        self.git(&at, &["push", "-q", "origin", "main"]);
        self.remotes.push(remote.clone());
        self.refuses(place, "2 repositories are registered");
        let id = at.manifest()["repository_id"].as_str().unwrap().to_owned();
        fs::remove_file(self.stage.stored(&format!("repositories/{id}.json"))).unwrap();
        fs::remove_dir_all(self.stage.world().path(&guest)).unwrap();
        self.remotes.pop();
        self.note(place, "is alone again".to_owned());
    }

    /// A branch on the remote was never fetched by whoever cleans up, and is not fetched now.
    pub fn named_where_nobody_looked(&mut self, place: &Place<'a>, other: &Place<'a>) {
        self.published(other);
        let n = self.fresh();
        self.commit(other, n);
        let name = self.publish(other);
        self.git(other, &["reset", "-q", "--hard", "HEAD~1"]);
        self.git(other, &["update-ref", "-d", &format!("refs/remotes/origin/{name}")]);
        self.forget(other);
        for _ in 0..2 {
            self.clean_up_with(place, &["cleanup", "--force"], 14);
            self.days(15);
        }
    }

    /// Another repository uses the prefix with the Python tool, which tells nobody.
    pub fn a_python_repository(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let theirs = oid(&content(self.fresh()));
        let file = self.stage.stored(&format!("assets/{theirs}/deep/python-{theirs}.gz"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "theirs").unwrap();
        self.foreign.push(file);
        self.two_weeks(place);
    }

    /// A clone pushes to a place that is no remote of the one that cleans up.
    pub fn named_on_another_remote(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let (n, remote) = (self.fresh(), format!("remote-{}.git", self.tick()));
        self.stage.world().at("").git(&["init", "-q", "--bare", "-b", "main", &remote]).ok();
        let url = self.stage.world().url(&remote);
        self.published(other);
        self.commit(other, n);
        self.git(other, &["push", "-q", &url, "HEAD:refs/heads/there"]);
        self.git(other, &["reset", "-q", "--hard", "HEAD~1"]);
        self.forget(other);
        self.remotes.push(remote.clone());
        self.refuses(place, "which is no remote of this clone");
        self.remotes.pop();
        for entry in fs::read_dir(self.stage.stored("repositories")).unwrap() {
            let path = entry.unwrap().path();
            let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            json["git_urls"].as_array_mut().unwrap().retain(|known| *known != url);
            fs::write(&path, json.to_string()).unwrap();
        }
        fs::remove_dir_all(self.stage.world().path(&remote)).unwrap();
        self.note(place, format!("{remote} is given up"));
    }

    /// Somebody's branch is here, but for the blobs that name its content.
    pub fn named_by_a_missing_blob(&mut self, place: &Place<'a>, other: &Place<'a>) {
        let n = self.fresh();
        self.published(other);
        let path = self.commit(other, n);
        let name = self.publish(other);
        self.git(place, &["fetch", "-q", "--prune", "--tags", "--force"]);
        if place.git(&["rev-parse", "-q", "--verify", &format!("refs/remotes/origin/{name}:{path}")]).code != 0 {
            return;
        }
        let mut missing: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for path in [&path, MANIFEST] {
            let id = place.git(&["rev-parse", &format!("refs/remotes/origin/{name}:{path}")]).ok().stdout;
            let file = place.join(&format!(".git/objects/{}/{}", &id[..2], &id[2..40]));
            missing.extend(fs::read(&file).ok().map(|bytes| (file, bytes)));
        }
        missing.iter().for_each(|(file, _)| fs::remove_file(file).unwrap());
        self.note(place, format!("lost {} objects of Git's", missing.len()));
        self.refuses(place, "nothing was deleted");
        missing.iter().for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
        self.note(place, "has them again".to_owned());
    }

    /// A clone that knows only the last commit of each branch.
    pub fn named_before_a_shallow_clone(&mut self, _: &Place<'a>, other: &Place<'a>) {
        self.published(other);
        let n = self.fresh();
        let path = self.commit(other, n);
        let later = content(self.fresh());
        other.write(&path, later);
        self.git(other, &["commit", "-qam", "in its place"]);
        let name = self.publish(other);
        let shallow = format!("shallow-{}", self.tick());
        let url = self.stage.world().url("remote.git");
        let clone = ["clone", "-q", "--depth", "1", "--no-single-branch", "-b", &name, &url, &shallow];
        if self.stage.world().at("").git(&clone).code != 0 {
            return;
        }
        let place = self.stage.at(&shallow);
        place.s3lfs(&["git-setup"]).ok();
        self.refuses(&place, "shallow");
        fs::remove_dir_all(self.stage.world().path(&shallow)).unwrap();
    }

    /// Only the index, or the manifest on disk, of a linked worktree names it.
    pub fn named_in_a_linked_worktree(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (n, _) = self.thrown_away(place);
        self.forget(place);
        let name = format!("linked-{}", self.tick());
        place.git(&["worktree", "add", "-q", "--detach", &format!("../{name}")]).ok();
        let linked = self.stage.at(&name);
        if self.lot.below(2) == 0 {
            self.edit(&linked, n);
        } else {
            let files = format!("\"files\": {{\n        \"hand.dat\": \"{}\"", oid(&content(n)));
            let manifest = linked.text(MANIFEST).replacen("\"files\": {}", &format!("{files}\n    }}"), 1);
            let manifest = manifest.replacen("\"files\": {\n        \"f", &format!("{files},\n        \"f"), 1);
            linked.write(MANIFEST, manifest);
            self.note(&linked, format!("the manifest names content {n}"));
        }
        if self.lot.below(2) == 0 {
            self.two_weeks(place);
        } else {
            // Which of them is the main one must not matter.
            let linked = self.clone_at(linked);
            self.clean_up(&linked);
            self.days(14);
            self.clean_up(&linked);
        }
        place.git(&["worktree", "remove", "--force", &format!("../{name}")]).ok();
        self.note(place, format!("{name} is removed"));
    }

    /// A file that only manifests name is published, and nobody has it any more.
    pub fn named_by_manifests(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let n = self.fresh();
        self.published(place);
        let path = self.by_hand(place, n);
        self.publish(place);
        place.remove(&path);
        self.git(place, &["reset", "-q", "--hard", "HEAD~1"]);
        self.forget(place);
        self.two_weeks(place);
    }

    /// A commit of a file that manifests alone name.
    pub fn by_hand(&mut self, place: &Place<'a>, n: usize) -> String {
        let path = format!("hand-{}.dat", self.tick());
        place.write(".git/info/exclude", "hand*\n");
        place.write(&path, content(n));
        self.settle(place, &path);
        place.s3lfs(&["upload", &path]).ok();
        self.note(place, format!("upload {path} = content {n}"));
        self.git(place, &["commit", "-qm", "by hand"]);
        path
    }

    /// A note of a commit holds a pointer (git-notes(1)).
    pub fn named_by_a_note(&mut self, place: &Place<'a>, _: &Place<'a>) {
        let (n, _) = self.thrown_away(place);
        let blob = place.git_with_input(&["hash-object", "-w", "--stdin"], pointer(&content(n)).as_bytes()).ok().stdout;
        self.git(place, &["notes", "add", "-f", "-C", blob.trim(), "HEAD"]);
        if self.lot.below(2) == 0 {
            self.git(place, &["push", "-q", "-f", "origin", "refs/notes/commits"]);
        }
        self.forget(place);
        self.two_weeks(place);
    }

    /// It is about to be deleted, nothing names it; and then it is committed elsewhere, between the last walk
    /// and the look at the store: only when it was written tells.
    pub fn written_before_the_batch(&mut self, place: &Place<'a>, other: &Place<'a>) {
        self.published(other);
        let (n, _) = self.thrown_away(other);
        self.forget(other);
        self.clean_up_with(place, &["cleanup", "--force", "--fetch"], 14);
        self.days(15);
        let path = format!("f{}.bin", self.lot.below(4));
        let date = format!("@{} +0000", super::FIRST_DATE + 60 * self.tick());
        // The remote is asked twice a walk: the fourth answer is the last word of the second walk.
        let script = format!(
            "#!/bin/sh\necho x >> calls\n[ $(wc -l < calls) = 4 ] || exec git-upload-pack \"$@\"\n\
             git-upload-pack \"$@\"; code=$?\n\
             (export GIT_AUTHOR_DATE='{date}' GIT_COMMITTER_DATE='{date}'; cd ../{} && \
             printf '%s' '{}' > {path} && echo >> {path} && git add {path} && git commit -qm meanwhile) >&2 </dev/null\nexit $code\n",
            other.dir.file_name().unwrap().to_string_lossy(),
            String::from_utf8(content(n)).unwrap().trim_end(),
        );
        place.script(".git/upload-pack", &script);
        let program = place.join(".git/upload-pack");
        place.git(&["config", "remote.origin.uploadpack", program.to_str().unwrap()]).ok();
        self.clean_up_with(place, &["cleanup", "--force", "--fetch"], 14);
        place.git(&["config", "--unset", "remote.origin.uploadpack"]).ok();
        let calls = fs::read_to_string(place.join("calls")).unwrap().lines().count();
        place.remove("calls");
        self.note(other, format!("{path} = content {n}, committed at call 4 of {calls}"));
        self.publish(other);
    }
}
