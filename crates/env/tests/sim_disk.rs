//! What the simulated disk promises of power losses and errors: all that a kernel may do, and nothing that it may not.
use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::Path;

use env::disk::{create_dir_all, read_file, replace_file};
use env::sim::disk::{Call, EffectKind, Fate, Fault, Tearing};
use env::sim::{Chance, Disk};
use env::{Disk as _, File, OpenOptions};

const BLOCK: usize = 4096;

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A disk with an empty file whose name is durable.
fn with_file(name: &str) -> (Disk, std::sync::Arc<dyn File>) {
    let disk = Disk::new(1);
    let file = disk.open(path(name), OpenOptions::CREATE_NEW).unwrap();
    disk.sync_dir(path("/")).unwrap();
    (disk, file)
}

fn write(file: &dyn File, bytes: &[u8], at: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], at).unwrap();
}

/// What a file holds after each of many power losses.
fn after_losses(disk: &Disk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..200).map(|seed| disk.fork().power_loss(&mut Chance::new(seed)).visible(name)).collect()
}

/// What a file holds after each distinct power loss.
fn after_every_loss(disk: &Disk, name: &str, tearing: Tearing) -> BTreeSet<Option<Vec<u8>>> {
    let fates = disk.crash_fates(tearing, 10_000, &mut Chance::new(0));
    assert!(fates.len() < 10_000, "not all are looked at");
    fates.iter().map(|fates| disk.restart_with(fates).visible(name)).collect()
}

#[test]
fn what_was_synced_survives_every_power_loss() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; 3 * BLOCK], 5);
    file.sync_data().unwrap();
    let synced = disk.visible("/a");
    assert_eq!(disk.durable("/a"), synced);
    assert_eq!(after_losses(&disk, "/a"), BTreeSet::from([synced]));
    assert_eq!(disk.unsynced_effects(), []);
}

#[test]
fn what_was_not_synced_may_survive_or_vanish() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; BLOCK], 0);
    file.sync_data().unwrap();
    write(&*file, &[2; BLOCK], 0);
    let seen = after_losses(&disk, "/a");
    assert!(seen.contains(&Some(vec![1; BLOCK])), "the old page never survived");
    assert!(seen.contains(&Some(vec![2; BLOCK])), "the new page never survived");
    assert!(seen.len() > 2, "no page was ever torn");
    for content in seen.into_iter().flatten() {
        assert!(content.chunks(512).all(|sector| sector == [1; 512] || sector == [2; 512]), "torn within a sector");
    }
}

#[test]
fn unsynced_pages_and_the_length_survive_each_for_itself() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; 2 * BLOCK], 0);
    let kinds: Vec<EffectKind> = disk.unsynced_effects().into_iter().map(|effect| effect.kind).collect();
    let page = |index| EffectKind::Page { index, changed: 0xff };
    assert_eq!(kinds, [page(0), page(1), EffectKind::Length(2 * BLOCK as u64)]);
    let content = |first: u8, second: u8| Some([[first; BLOCK], [second; BLOCK]].concat());
    let expected = BTreeSet::from([Some(vec![]), content(0, 0), content(0, 1), content(1, 0), content(1, 1)]);
    assert_eq!(after_every_loss(&disk, "/a", Tearing::Never), expected);
}

#[test]
fn of_several_versions_of_a_page_any_one_survives() {
    let (disk, file) = with_file("/a");
    write(&*file, &[0; BLOCK], 0);
    file.sync_data().unwrap();
    write(&*file, &[1; 512], 0);
    write(&*file, &[2; 512], 512);
    write(&*file, &[3; 512], 0);
    let starts: BTreeSet<(u8, u8)> = after_every_loss(&disk, "/a", Tearing::Never)
        .into_iter()
        .map(|content| content.map(|content| (content[0], content[512])).unwrap())
        .collect();
    assert_eq!(starts, BTreeSet::from([(0, 0), (1, 0), (1, 2), (3, 2)]));
    // Torn, the second sector may reach the medium without the first.
    let torn: BTreeSet<(u8, u8)> = after_every_loss(&disk, "/a", Tearing::At512)
        .into_iter()
        .map(|content| content.map(|content| (content[0], content[512])).unwrap())
        .collect();
    assert!(torn.is_superset(&starts) && torn.len() >= starts.len());
}

#[test]
fn a_synced_file_without_a_synced_name_may_vanish() {
    let disk = Disk::new(1);
    let file = disk.open(path("/a"), OpenOptions::CREATE_NEW).unwrap();
    write(&*file, b"x", 0);
    file.sync_data().unwrap();
    assert_eq!(disk.durable("/a"), None);
    assert_eq!(after_every_loss(&disk, "/a", Tearing::Never), BTreeSet::from([None, Some(b"x".to_vec())]));
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(after_every_loss(&disk, "/a", Tearing::Never), BTreeSet::from([Some(b"x".to_vec())]));
}

#[test]
fn a_name_in_a_directory_whose_own_name_is_not_synced_may_vanish() {
    let disk = Disk::new(1);
    disk.create_dir(path("/d")).unwrap();
    let file = disk.open(path("/d/a"), OpenOptions::CREATE_NEW).unwrap();
    write(&*file, b"x", 0);
    file.sync_data().unwrap();
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(disk.durable("/d/a"), None);
    assert_eq!(after_every_loss(&disk, "/d/a", Tearing::Never), BTreeSet::from([None, Some(b"x".to_vec())]));
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(disk.durable("/d/a"), Some(b"x".to_vec()));
}

#[test]
fn a_rename_is_whole_and_may_vanish_until_its_directory_is_synced() {
    let (disk, file) = with_file("/new");
    write(&*file, b"new", 0);
    file.sync_data().unwrap();
    let old = disk.open(path("/a"), OpenOptions::CREATE_NEW).unwrap();
    write(&*old, b"old", 0);
    old.sync_data().unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk.rename(path("/new"), path("/a")).unwrap();
    type Content = Option<Vec<u8>>;
    let outcomes: BTreeSet<(Content, Content)> = disk
        .crash_fates(Tearing::At512, 100, &mut Chance::new(0))
        .iter()
        .map(|fates| disk.restart_with(fates))
        .map(|disk| (disk.visible("/a"), disk.visible("/new")))
        .collect();
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(outcomes, BTreeSet::from([(old, new.clone()), (new.clone(), None)]));
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(after_every_loss(&disk, "/a", Tearing::At512), BTreeSet::from([new]));
}

#[test]
fn changes_of_one_name_survive_in_order_and_of_different_names_in_any() {
    let (disk, _file) = with_file("/a");
    disk.rename(path("/a"), path("/b")).unwrap();
    disk.rename(path("/b"), path("/c")).unwrap();
    drop(disk.open(path("/x"), OpenOptions::CREATE_NEW).unwrap());
    let outcomes: BTreeSet<String> = disk
        .crash_fates(Tearing::Never, 100, &mut Chance::new(0))
        .iter()
        .map(|fates| disk.restart_with(fates).read_dir(path("/")).unwrap())
        .map(|entries| entries.iter().map(|entry| entry.name.as_str()).collect())
        .collect();
    assert_eq!(outcomes, ["a", "ax", "b", "bx", "c", "cx"].map(str::to_owned).into());
    // A file never falls out of the world, whatever the fates say.
    let none_but_last = [false, true, false];
    assert_eq!(disk.durable_image_with(&none_but_last).visible("/c"), Some(vec![]));
}

#[test]
fn an_unlinked_file_may_come_back_with_its_synced_content() {
    let (disk, file) = with_file("/a");
    write(&*file, b"synced", 0);
    file.sync_data().unwrap();
    drop(file);
    disk.remove_file(path("/a")).unwrap();
    let again = disk.open(path("/a"), OpenOptions::CREATE_NEW).unwrap();
    write(&*again, b"again!", 0);
    again.sync_data().unwrap();
    let seen = after_every_loss(&disk, "/a", Tearing::Never);
    assert_eq!(seen, BTreeSet::from([None, Some(b"again!".to_vec()), Some(b"synced".to_vec())]));
    disk.sync_dir(path("/")).unwrap();
    assert_eq!(after_every_loss(&disk, "/a", Tearing::Never), BTreeSet::from([Some(b"again!".to_vec())]));
}

#[test]
fn an_unsynced_cut_may_vanish_and_never_brings_back_what_a_synced_one_cut() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; 2 * BLOCK], 0);
    file.sync_data().unwrap();
    file.set_len(10).unwrap();
    let lens = |disk: &Disk| -> BTreeSet<usize> {
        after_every_loss(disk, "/a", Tearing::Never).into_iter().map(|content| content.unwrap().len()).collect()
    };
    assert_eq!(lens(&disk), BTreeSet::from([10, 2 * BLOCK]));
    file.sync_data().unwrap();
    file.set_len(2 * BLOCK as u64).unwrap();
    assert_eq!(lens(&disk), BTreeSet::from([10, 2 * BLOCK]));
    for content in after_every_loss(&disk, "/a", Tearing::Never).into_iter().flatten() {
        assert!(content[10..].iter().all(|byte| *byte == 0), "what was cut came back");
    }
}

#[test]
fn a_failed_sync_never_becomes_durable_by_a_later_one() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; BLOCK], 0);
    file.sync_data().unwrap();
    write(&*file, &[2; BLOCK], 0);
    disk.inject(Fault::input_output(Call::SyncData));
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(libc::EIO));
    file.sync_data().unwrap();
    assert_eq!(disk.visible("/a"), Some(vec![2; BLOCK]));
    assert_eq!(disk.durable("/a"), Some(vec![1; BLOCK]));
    // It may have reached the medium all the same.
    let outcomes = after_every_loss(&disk, "/a", Tearing::Never);
    assert_eq!(outcomes, BTreeSet::from([Some(vec![1; BLOCK]), Some(vec![2; BLOCK])]));
    // Once out of the cache, the medium's page is read: also after a mere process kill.
    let next = disk.kill();
    next.evict("/a");
    assert_eq!(read_file(&next, path("/a"), 10_000).unwrap(), vec![1; BLOCK]);
    // Written anew, it is dirty again, and a sync holds.
    let file = next.open(path("/a"), OpenOptions::WRITE).unwrap();
    write(&*file, &[3; BLOCK], 0);
    file.sync_data().unwrap();
    assert_eq!(after_every_loss(&next, "/a", Tearing::Never), BTreeSet::from([Some(vec![3; BLOCK])]));
}

#[test]
fn a_process_kill_keeps_what_was_written_and_ends_every_handle() {
    let (disk, file) = with_file("/a");
    let _lock = disk.lock(path("/"), ".lock").unwrap();
    write(&*file, b"x", 0);
    let next = disk.kill();
    assert!(file.len().is_err() && file.sync_data().is_err() && disk.read_dir(path("/")).is_err());
    assert_eq!(read_file(&next, path("/a"), 10).unwrap(), b"x");
    assert_eq!(next.durable("/a"), Some(vec![]));
    drop(next.lock(path("/"), ".lock").unwrap());
    // The unsynced write is still at risk.
    assert_eq!(next.durable_image().visible("/a"), Some(vec![]));
}

#[test]
fn power_fails_inside_the_chosen_operation() {
    let mut outcomes = BTreeSet::new();
    let operations = {
        let disk = Disk::new(1);
        disk.record_operations();
        replace_file(&disk, path("/m"), b"one").unwrap();
        replace_file(&disk, path("/m"), b"two").unwrap();
        let calls: Vec<Call> = disk.recorded_operations().iter().map(|operation| operation.call).collect();
        use Call::{CreateFile, RemoveFile, Rename, SyncData, SyncDir, Write};
        let once = [RemoveFile, CreateFile, Write, SyncData, Rename, SyncDir];
        assert_eq!(calls, [once, once].concat());
        disk.operations()
    };
    for number in operations / 2..operations {
        let disk = Disk::new(1);
        replace_file(&disk, path("/m"), b"one").unwrap();
        disk.crash_at(number);
        assert!(replace_file(&disk, path("/m"), b"two").is_err() && disk.is_off());
        for fates in disk.crash_fates(Tearing::At512, 1000, &mut Chance::new(0)) {
            outcomes.insert(disk.restart_with(&fates).visible("/m").expect("the name is durable"));
        }
    }
    assert_eq!(outcomes, BTreeSet::from([b"one".to_vec(), b"two".to_vec()]));
}

#[test]
fn a_replacement_without_its_sync_is_caught() {
    // The mutant of the test above: no sync before the rename.
    let disk = Disk::new(1);
    replace_file(&disk, path("/m"), b"one").unwrap();
    let file = disk.open(path("/m.tmp"), OpenOptions::CREATE_NEW).unwrap();
    write(&*file, b"two", 0);
    disk.rename(path("/m.tmp"), path("/m")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    let outcomes = after_every_loss(&disk, "/m", Tearing::Never);
    assert!(outcomes.contains(&Some(vec![])), "the empty file was not found");
}

#[test]
fn a_full_disk_keeps_a_prefix_and_recovers() {
    let (disk, file) = with_file("/a");
    disk.set_free_bytes(2 * BLOCK as u64);
    let error = file.write_all_at(&[IoSlice::new(&[1; 3 * BLOCK])], 0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(disk.visible("/a"), Some(vec![1; 2 * BLOCK]));
    assert_eq!(disk.space(path("/")).unwrap().free_bytes, 0);
    write(&*file, &[2; BLOCK], 0); // What is there already can be written.
    let other = disk.open(path("/b"), OpenOptions::CREATE_NEW).unwrap();
    assert!(other.write_all_at(&[IoSlice::new(b"x")], 0).is_err());
    disk.remove_file(path("/a")).unwrap();
    assert!(other.write_all_at(&[IoSlice::new(b"x")], 0).is_err(), "an open file still takes its space");
    drop(file);
    write(&*other, b"x", 0);
    assert_eq!(disk.space(path("/")).unwrap().free_bytes, BLOCK as u64);
}

#[test]
fn injected_errors_strike_the_chosen_calls() {
    let (disk, file) = with_file("/a");
    disk.inject(Fault::input_output(Call::Write).on_path("a").after(1).times(2));
    disk.inject(Fault::no_space(Call::CreateFile).on_path("journal"));
    write(&*file, b"1", 0);
    for _ in 0..2 {
        assert_eq!(file.write_all_at(&[IoSlice::new(b"22")], 0).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    write(&*file, b"3", 0);
    drop(disk.open(path("/b"), OpenOptions::CREATE_NEW).unwrap());
    assert!(disk.open(path("/journal"), OpenOptions::CREATE_NEW).is_err());
    drop(disk.open(path("/journal"), OpenOptions::CREATE_NEW).unwrap());
}

#[test]
fn rot_is_read_and_the_truth_is_kept() {
    let (disk, file) = with_file("/a");
    write(&*file, b"abc", 0);
    file.sync_data().unwrap();
    disk.rot("/a", 1, 0x20);
    let disk = disk.power_loss(&mut Chance::new(0));
    assert_eq!(read_file(&disk, path("/a"), 10).unwrap(), b"aBc");
    assert_eq!(disk.visible("/a"), Some(b"abc".to_vec()));
    write(&*disk.open(path("/a"), OpenOptions::WRITE).unwrap(), b"abc", 0);
    assert_eq!(read_file(&disk, path("/a"), 10).unwrap(), b"abc");
}

#[test]
fn a_page_that_lands_elsewhere_is_seen_once_the_cache_has_forgotten_it() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; 2 * BLOCK], 0);
    file.sync_data().unwrap();
    let other = disk.open(path("/b"), OpenOptions::CREATE_NEW).unwrap();
    write(&*other, &[2; 2 * BLOCK], 0);
    other.sync_data().unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk.misdirect("/a", "/b", 1);
    write(&*file, &[3; BLOCK], BLOCK as u64);
    file.sync_data().unwrap();
    let both = |disk: &Disk| ["/a", "/b"].map(|name| read_file(disk, path(name), 1 << 20).unwrap());
    let meant = [[[1; BLOCK], [3; BLOCK]].concat(), vec![2; 2 * BLOCK]];
    let shown = [vec![1; 2 * BLOCK], [[2; BLOCK], [3; BLOCK]].concat()];
    assert_eq!(both(&disk), meant, "cached");
    let killed = disk.kill();
    assert_eq!(both(&killed), meant, "the cache outlives the process");
    let fork = killed.fork();
    fork.evict("/a");
    assert_eq!(both(&fork), [shown[0].clone(), meant[1].clone()], "one of them evicted");
    let disk = killed.power_loss(&mut Chance::new(0));
    assert_eq!(both(&disk), shown);
    assert_eq!(["/a", "/b"].map(|name| disk.visible(name).unwrap()), meant, "the truth is kept");
    write(&*disk.open(path("/a"), OpenOptions::WRITE).unwrap(), &[3; BLOCK], BLOCK as u64);
    assert_eq!(both(&disk), [meant[0].clone(), shown[1].clone()], "what is written anew is sound");
}

#[test]
fn a_file_whose_length_is_not_the_truth_ends_early_or_in_zeros() {
    let (disk, file) = with_file("/a");
    write(&*file, b"abc", 0);
    file.sync_data().unwrap();
    let read = |disk: &Disk| read_file(disk, path("/a"), 10).unwrap();
    disk.lie_about_len("/a", 2);
    assert_eq!((file.len().unwrap(), read(&disk)), (2, b"ab".to_vec()));
    disk.lie_about_len("/a", 5);
    assert_eq!((file.len().unwrap(), read(&disk)), (5, b"abc\0\0".to_vec()));
    let disk = disk.power_loss(&mut Chance::new(0));
    assert_eq!(read(&disk), b"abc\0\0", "the medium keeps it");
    assert_eq!(disk.visible("/a"), Some(b"abc".to_vec()), "the truth is kept");
    disk.open(path("/a"), OpenOptions::WRITE).unwrap().set_len(1).unwrap();
    assert_eq!(read(&disk), b"a");
}

#[test]
fn after_a_power_loss_nothing_is_cached() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; 2 * BLOCK], 0);
    file.sync_data().unwrap();
    let disk = disk.power_loss(&mut Chance::new(0));
    let file = disk.open(path("/a"), OpenOptions::READ).unwrap();
    let mut bytes = [0; BLOCK];
    assert_eq!(file.read_cached_at(&mut bytes, 0).unwrap(), None);
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(file.read_cached_at(&mut bytes, 0).unwrap(), Some(BLOCK));
    assert_eq!(file.read_cached_at(&mut bytes, BLOCK as u64).unwrap(), None);
    disk.set_cold_probability(1.0);
    assert_eq!(file.read_cached_at(&mut bytes, 0).unwrap(), None);
}

#[test]
fn a_fork_shares_nothing_that_is_written_later() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; BLOCK], 0);
    let fork = disk.fork();
    write(&*file, &[2; BLOCK], 0);
    file.sync_data().unwrap();
    assert_eq!(fork.visible("/a"), Some(vec![1; BLOCK]));
    assert_eq!(fork.durable("/a"), Some(vec![]));
    let other = fork.open(path("/a"), OpenOptions::WRITE).unwrap();
    write(&*other, &[3; BLOCK], 0);
    assert_eq!(disk.durable("/a"), Some(vec![2; BLOCK]));
}

#[test]
fn the_same_seed_loses_the_same() {
    let run = |seed| {
        let disk = Disk::new(9);
        create_dir_all(&disk, path("/d/e")).unwrap();
        let mut chance = Chance::new(seed);
        for number in 0..20 {
            let file = disk.open(path(&format!("/d/e/{number}")), OpenOptions::CREATE_NEW).unwrap();
            let mut bytes = vec![0; chance.in_range(1..20_000) as usize];
            chance.fill(&mut bytes);
            write(&*file, &bytes, chance.in_range(0..10_000));
            if chance.happens(0.3) {
                file.sync_data().unwrap();
            }
        }
        let disk = disk.power_loss(&mut chance);
        let entries = disk.read_dir(path("/d/e")).unwrap();
        entries.into_iter().map(|entry| (disk.visible(format!("/d/e/{}", entry.name)), entry.name)).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn torn_fates_keep_exactly_their_sectors() {
    let (disk, file) = with_file("/a");
    write(&*file, &[1; BLOCK], 0);
    file.sync_data().unwrap();
    write(&*file, &[2; BLOCK], 0);
    let torn = disk.restart_with(&[Fate::Torn(0b1000_0001)]).visible("/a").unwrap();
    let sectors: Vec<u8> = torn.chunks(512).map(|sector| sector[0]).collect();
    assert_eq!(sectors, [2, 1, 1, 1, 1, 1, 1, 2]);
}

#[test]
fn a_mark_is_durable_once_its_bytes_and_its_name_are() {
    let disk = Disk::new(1);
    disk.watch_marks(*b"marked::");
    let mark = |number: u64| [b"marked::".as_slice(), &number.to_be_bytes()].concat();
    let file = disk.open(path("/a"), OpenOptions::CREATE_NEW).unwrap();
    write(&*file, &mark(1), 100);
    write(&*file, &mark(2)[..9], BLOCK as u64 - 9);
    file.sync_data().unwrap();
    assert!(!disk.is_mark_durable(1), "its name is not");
    disk.sync_dir(path("/")).unwrap();
    assert!(disk.is_mark_durable(1) && !disk.is_mark_durable(2));
    write(&*file, &mark(2)[9..], BLOCK as u64);
    write(&*file, &mark(3), 3 * BLOCK as u64 - 16);
    assert!(!disk.is_mark_durable(2), "its second half is not synced");
    file.sync_data().unwrap();
    assert!(disk.is_mark_durable(2) && disk.is_mark_durable(3) && !disk.is_mark_durable(4));
    write(&*file, &mark(5), 4 * BLOCK as u64);
    let fates = vec![Fate::Survives; disk.unsynced_effects().len()];
    let disk = disk.restart_with(&fates);
    assert!(disk.is_mark_durable(2) && disk.is_mark_durable(5), "what a power loss leaves is on the medium");
}

#[test]
fn an_observer_is_told_of_what_succeeds() {
    let (disk, file) = with_file("/a");
    let seen = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let notes = seen.clone();
    disk.observe(move |call, path| notes.lock().unwrap().push(format!("{call:?} {path}")));
    disk.inject(Fault::input_output(Call::SyncData));
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.fork().remove_file(path("/a")).unwrap();
    let disk = disk.kill();
    disk.remove_file(path("/a")).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["SyncData /a", "RemoveFile /a"]);
}
