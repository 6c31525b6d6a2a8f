//! Rows in which another repository is filled by Git alone, with `git-setup --global`.

use super::trees::{main, noise, pointer, side, write_file};
use super::world::World;

/// What a user does once a machine.
fn set_up_for_user(w: &mut World) {
    let home = w.home();
    w.s3lfs_in(&home, &["git-setup", "--global"]);
}

fn trust(w: &mut World) {
    let (home, pattern) = (w.home(), format!("{}/*", w.store_url()));
    w.git_in(&home, &["config", "--global", "--add", "s3lfs.trust", &pattern]);
}

pub fn clone(w: &mut World) {
    let (home, url, clone_options) = (w.home(), w.url(), w.form.clone_options());
    let clone = |w: &mut World, name: &str, options: &[&str]| {
        let dir = w.join(name);
        let args = [&["clone", "-q", "-b", "main", &url, dir.to_str().unwrap()], options, clone_options].concat();
        let output = w.try_run("git", &home, &args, b"");
        assert!(output.status.success(), "git clone failed");
        (dir, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    set_up_for_user(w);
    let (untrusted, said) = clone(w, "untrusted", &[]);
    assert!(said.contains("s3lfs trust") && said.contains(&w.store_url()), "the store and the way out are named");
    let mut pointers = main();
    for (_, content) in pointers.iter_mut().filter(|(path, _)| path.ends_with(b".bin")) {
        *content = pointer(content);
    }
    w.check_filled_with_pointers(&untrusted, &pointers);
    w.s3lfs_in(&untrusted, &["trust"]);
    w.s3lfs_in(&untrusted, &["download-all"]);
    w.check(&untrusted, &main(), &[]);

    trust(w);
    let (trusted, _) = clone(w, "trusted", &[]);
    w.check(&trusted, &main(), &[]);
    w.git_in(&trusted, &["switch", "-q", "side"]);
    w.check(&trusted, &side(), &[]);
    let (shallow, _) = clone(w, "shallow", &["--depth=1"]);
    w.check(&shallow, &main(), &[]);
    let (empty, _) = clone(w, "empty", &["--no-checkout"]);
    w.git_in(&empty, &["checkout", "-q"]);
    w.check(&empty, &main(), &[]);
}

pub fn partial_clone(w: &mut World) {
    set_up_for_user(w);
    trust(w);
    let (home, url, dir) = (w.home(), w.url(), w.join("partial"));
    w.git_in(&home, &["config", "--global", "uploadpack.allowFilter", "true"]);
    w.git_in(&home, &["config", "--global", "uploadpack.allowAnySHA1InWant", "true"]);
    let clone = ["clone", "-q", "--filter=blob:none", "-b", "main", &url, dir.to_str().unwrap()];
    w.git_in(&home, &[clone.as_slice(), w.form.clone_options()].concat());
    w.check(&dir, &main(), &[]);
    w.git_in(&dir, &["switch", "-q", "side"]);
    w.check(&dir, &side(), &[]);
    let sparse = w.join("sparse");
    let clone = ["clone", "-q", "--filter=blob:none", "--sparse", "-b", "main", &url, sparse.to_str().unwrap()];
    w.git_in(&home, &[clone.as_slice(), w.form.clone_options()].concat());
    let at_the_top = main().into_iter().filter(|(path, _)| !path.contains(&b'/')).collect();
    w.check(&sparse, &at_the_top, &[]);
    w.git_in(&sparse, &["sparse-checkout", "disable"]);
    w.check(&sparse, &main(), &[]);
    // With our hooks too: they look at blobs that may not be here.
    w.s3lfs_in(&dir, &["git-setup"]);
    let content = noise(30, 4_000);
    write_file(&dir, b"a.bin", &content);
    w.git_in(&dir, &["commit", "-q", "-a", "-m", "in a partial clone"]);
    let mut tree = side();
    tree.insert(b"a.bin".to_vec(), content);
    w.check(&dir, &tree, &[]);
    w.git_in(&dir, &["push", "-q", "origin", "HEAD:refs/heads/pushed"]);
    w.git(&["switch", "-q", "pushed"]);
    w.tree = tree;
    w.committed();
}

pub fn submodule(w: &mut World) {
    set_up_for_user(w);
    trust(w);
    let (home, url) = (w.home(), w.url());
    let (first, second) = (w.join("first"), w.join("second"));
    w.git_in(&home, &[&["init", "-q"], w.form.init_options(), &[first.to_str().unwrap()]].concat());
    w.git_in(&first, &["submodule", "--quiet", "add", "-b", "main", &url, "sub"]);
    w.check(&first.join("sub"), &main(), &[]);
    w.git_in(&first, &["commit", "-q", "-m", "a submodule"]);
    let from = format!("file://{}", first.display());
    let clone = ["clone", "-q", "--recurse-submodules", &from, second.to_str().unwrap()];
    w.git_in(&home, &[clone.as_slice(), w.form.clone_options()].concat());
    w.check(&second.join("sub"), &main(), &[]);
    w.git_in(&first.join("sub"), &["checkout", "-q", "--detach", "origin/side"]);
    w.git_in(&first, &["commit", "-q", "-a", "-m", "another commit of it"]);
    w.git_in(&second, &["pull", "-q"]);
    w.check(&second.join("sub"), &main(), &[]);
    w.git_in(&second, &["submodule", "--quiet", "update"]);
    w.check(&second.join("sub"), &side(), &[]);
    assert!(w.git_in(&second, &["status", "--porcelain"]).is_empty(), "the superproject is clean too");
}
