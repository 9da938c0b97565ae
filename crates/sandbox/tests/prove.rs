//! The boundary proves itself, and a boundary with a hole is found out (issue 3, "The boundary proves itself").
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod scene;

use std::collections::BTreeMap;

use raincoat_sandbox::LayerState;
use raincoat_sandbox::program::{Folder, Ground, How, Proof, prove};
use scene::{Scene, bytes, root};

/// A scene with something outside for every attempt to reach for.
fn proving() -> (Scene, Ground) {
    let mut scene = Scene::sh("exit 9");
    for folder in ["around", "fixed", "own", "home"] {
        std::fs::create_dir(scene.path(folder)).unwrap();
        std::fs::write(scene.path(folder).join("file"), "x").unwrap();
    }
    std::fs::write(scene.folder(".env"), "KEY=1").unwrap();
    std::fs::create_dir(scene.path("draft/mask")).unwrap();
    let mask = std::ffi::CString::new(bytes(scene.path("draft/mask/.env"))).unwrap();
    let whiteout = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, &mask, whiteout, rustix::fs::Mode::empty(), 0).unwrap();
    scene.plan.home = bytes(scene.path("home"));
    scene.plan.folders.push(Folder { at: bytes(scene.path("fixed")), how: How::ReadOnly });
    let ground = Ground {
        outside: vec![bytes(scene.path("around/file"))],
        around: Some(bytes(scene.path("around"))),
        home: Some(bytes(scene.path("home/file"))),
        own: Some(bytes(scene.path("own/file"))),
        draft: Some(bytes(scene.path("draft/upper"))),
        secret: Some(bytes(scene.folder(".env"))),
        work: Some(scene.plan.folders[0].at.clone()),
        fixed: Some(bytes(scene.path("fixed"))),
        ..Ground::default()
    };
    (scene, ground)
}

fn by_name(proofs: &[Proof]) -> BTreeMap<&str, &Proof> {
    proofs.iter().map(|proof| (&*proof.layer.name, proof)).collect()
}

fn through(proofs: &[Proof]) -> Vec<&str> {
    proofs.iter().filter(|proof| proof.through).map(|proof| &*proof.layer.name).collect()
}

#[test]
fn everything_is_refused_inside_and_possible_outside() {
    let (scene, ground) = proving();
    let proofs = prove(&scene.plan, &ground).unwrap();
    assert_eq!(through(&proofs), [""; 0], "{proofs:#?}");
    // What this machine, or this user, does not allow outside either proves nothing, and must say so.
    let may_be_unknown = ["network", "io-uring", "bpf", "settings", "perf", "page-faults", "keyboard", "handles"];
    let for_root = ["device-node", "settings", "bpf"];
    for proof in &proofs {
        let name = proof.layer.name.strip_prefix("inside-").unwrap();
        let excused = may_be_unknown.contains(&name) || (!root() && for_root.contains(&name));
        match proof.layer.state {
            LayerState::Enforced => {}
            LayerState::Unknown if excused => assert!(proof.layer.why.contains("proves nothing"), "{proof:?}"),
            _ => panic!("{proof:?}"),
        }
    }
    assert!(proofs.len() >= 35);
    // Nothing stays of what was planted or tried.
    for folder in ["around", "fixed"] {
        let names: Vec<_> = std::fs::read_dir(scene.path(folder)).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["file"]);
    }
    assert_eq!(std::fs::read_dir(scene.folder("")).unwrap().count(), 2);
}

/// Controls that are broken on purpose: each hole is found, by its name, and nothing else is.
#[test]
fn a_hole_in_the_enclosure_is_found_by_its_name() {
    type Broken = fn(&mut Scene, &mut Ground);
    let holes: [(&[&str], Broken); 5] = [
        (&["inside-outside-file", "inside-outside-name"], |scene, ground| {
            // Granted, though the ground says that it is not.
            std::fs::create_dir(scene.path("granted")).unwrap();
            std::fs::write(scene.path("granted/file"), "x").unwrap();
            ground.outside = vec![bytes(scene.path("granted/file"))];
            scene.plan.folders.push(Folder { at: bytes(scene.path("granted")), how: How::ReadOnly });
        }),
        (&["inside-secret"], |scene, _| std::fs::remove_file(scene.path("draft/mask/.env")).unwrap()),
        (&["inside-read-only", "inside-read-only-socket"], |scene, _| {
            let place = bytes(scene.path("fixed"));
            scene.plan.folders.last_mut().unwrap().how = How::Kept { place };
        }),
        (&["inside-home"], |scene, _| {
            let home = scene.plan.home.clone();
            scene.plan.folders.push(Folder { at: home, how: How::ReadOnly });
        }),
        (&["inside-nesting", "inside-chroot"], |scene, ground| {
            // The check of the start knows that it was allowed; the proof is not told.
            scene.plan.may_nest = true;
            ground.may_nest = false;
        }),
    ];
    for (expected, broken) in holes {
        let (mut scene, mut ground) = proving();
        broken(&mut scene, &mut ground);
        let proofs = prove(&scene.plan, &ground).unwrap();
        assert_eq!(through(&proofs), expected, "{proofs:#?}");
        for name in expected {
            let layer = &by_name(&proofs)[name].layer;
            assert!(layer.state == LayerState::Missing && layer.why.contains("does not hold"), "{layer:?}");
        }
    }
}

/// The start of a run tries a part of it, and nothing runs where that gets through.
#[test]
fn a_program_is_not_started_in_an_enclosure_with_a_hole() {
    if !root() {
        return;
    }
    // The draft lies where every program can read: in a folder of the system's.
    let place = tempfile::tempdir_in("/usr/local/share").unwrap();
    for strict in [false, true] {
        for part in ["upper", "work"] {
            let _ = std::fs::remove_dir_all(place.path().join(part));
            std::fs::create_dir(place.path().join(part)).unwrap();
        }
        let mut scene = Scene::sh("echo ran > ran");
        scene.plan.folders[0].how = How::Draft { place: bytes(place.path()) };
        scene.plan.strict = strict;
        let error = scene.start_with(b"").err().unwrap().to_string();
        assert!(error.contains("private-root") && error.contains("a file that was not granted"), "{error}");
        assert!(!place.path().join("upper/ran").exists() && !scene.folder("ran").exists());
    }
}

/// All of the above once more, as a user without any privilege.
#[test]
fn an_ordinary_user_can_do_all_this() {
    scene::as_an_ordinary_user();
}
