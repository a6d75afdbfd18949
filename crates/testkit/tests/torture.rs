//! The torture of the ledger in its short form (`cargo xtask torture` is the
//! long one), and the proof that it can fail: a harness that is broken on
//! purpose, or a worker that lies, is found out.

use std::process::Command;

/// Runs the harness; returns whether it found nothing, and what it said.
fn torture(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_torture"))
        .arg("run")
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[track_caller]
fn check(arguments: &[&str], says: &str) {
    let (fine, said) = torture(arguments);
    assert!(fine && said.contains(says), "{said}");
    assert!(said.contains("faults 0"), "{said}");
}

/// The harness, broken in this way, must find that something is wrong.
#[track_caller]
fn check_sabotage(sabotage: &str, mode: &[&str], says: &str) {
    let (fine, said) = torture(&[&["--sabotage", sabotage], mode].concat());
    assert!(!fine && said.contains(says), "`{sabotage}`: {said}");
}

#[test]
fn killed_workers_lose_and_invent_nothing() {
    check(&["--mode", "kill", "--cycles", "40"], "kill: 40 cycles");
}

#[test]
fn on_postgres_killed_workers_lose_and_invent_nothing() {
    let kill = ["--store", "postgres", "--mode", "kill", "--cycles", "8"];
    check(&kill, "kill: 8 cycles");
}

#[test]
fn a_killed_postgres_loses_and_invents_nothing() {
    let server = ["--store", "postgres", "--mode", "server", "--cycles", "6"];
    check(&server, "server: 6 cycles");
}

#[test]
fn on_postgres_a_worker_that_lies_is_found_out() {
    let kill = ["--store", "postgres", "--mode", "kill", "--cycles", "20"];
    check_sabotage("lie", &kill, "was acknowledged, and is lost");
}

#[test]
fn a_power_cut_at_any_change_loses_and_invents_nothing() {
    check(&["--mode", "power", "--images", "150"], "power: 150 images");
}

#[test]
fn a_full_disk_is_survived() {
    check(&["--mode", "disk-full"], "2 while running");
}

#[test]
fn a_read_only_disk_is_survived() {
    check(&["--mode", "read-only"], "1 while running");
}

#[test]
fn a_broken_disk_is_survived() {
    check(&["--mode", "broken"], "4 while running");
}

#[test]
fn a_worker_that_lies_is_found_out() {
    let kill = ["--mode", "kill", "--cycles", "60"];
    check_sabotage("lie", &kill, "was acknowledged, and is lost");
}

#[test]
fn a_disk_without_syncs_is_found_out() {
    let power = ["--mode", "power", "--images", "60"];
    let all = [&["--sabotage", "no-sync"], power.as_slice()].concat();
    // Each run finds it. What it finds first may be a file that is no database;
    // in some run it is an acknowledgement that was lost.
    for _ in 0..10 {
        let (fine, said) = torture(&all);
        assert!(!fine && said.contains("FAULT"), "{said}");
        if said.contains("was acknowledged, and is lost") {
            return;
        }
    }
    panic!("no acknowledgement is lost in ten runs");
}

#[test]
fn a_disk_that_forgets_names_is_found_out() {
    let power = ["--mode", "power", "--images", "60"];
    check_sabotage("no-directory-sync", &power, "FAULT");
}

#[test]
fn a_main_file_without_syncs_is_found_out() {
    let power = ["--mode", "power", "--images", "600"];
    check_sabotage("no-main-sync", &power, "FAULT");
}
