//! What every implementation of `Disk` does, asked of the kernel and of the simulator alike.
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

use env::buffer::BLOCK;
use env::disk::{create_dir_all, read_file, replace_file};
use env::{AlignedBuffer, Disk, OpenOptions};

/// Runs one promise on both disks, each in a directory of its own.
fn on_both(name: &str, check: impl Fn(&dyn Disk, &Path)) {
    let real = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("disk-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&real);
    std::fs::create_dir_all(&real).unwrap();
    check(&env::real::Disk, &real);
    std::fs::remove_dir_all(&real).unwrap();

    let simulated = env::sim::Disk::new(7);
    Disk::create_dir(&simulated, Path::new("/data")).unwrap();
    check(&simulated, Path::new("/data"));
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

fn write(disk: &dyn Disk, path: &Path, content: &[u8]) {
    let file = disk.open(path, OpenOptions::CREATE_NEW).unwrap();
    file.write_all_at(&[IoSlice::new(content)], 0).unwrap();
}

fn names(disk: &dyn Disk, path: &Path) -> Vec<String> {
    disk.read_dir(path).unwrap().into_iter().map(|entry| entry.name + if entry.is_dir { "/" } else { "" }).collect()
}

#[test]
fn what_is_written_is_read() {
    on_both("read", |disk, dir| {
        let file = disk.open(&dir.join("a"), OpenOptions::CREATE_NEW).unwrap();
        assert!(file.is_empty().unwrap());
        file.write_all_at(&[IoSlice::new(b"hello "), IoSlice::new(b""), IoSlice::new(b"world")], 4090).unwrap();
        assert_eq!(file.len().unwrap(), 4101);
        let mut bytes = [9; 20];
        assert_eq!(file.read_at(&mut bytes, 4088).unwrap(), 13);
        assert_eq!(&bytes[..13], b"\0\0hello world");
        assert_eq!(bytes[13..], [9; 7]);
        assert_eq!(file.read_at(&mut bytes, 4101).unwrap(), 0);
        assert_eq!(file.read_at(&mut bytes, 1 << 40).unwrap(), 0);
        file.sync_data().unwrap();
        disk.sync_dir(dir).unwrap();
        let again = disk.open(&dir.join("a"), OpenOptions::READ).unwrap();
        assert_eq!(again.read_at(&mut bytes, 4090).unwrap(), 11);
    });
}

#[test]
fn a_write_of_more_parts_than_one_call_takes_is_whole() {
    on_both("parts", |disk, dir| {
        let content: Vec<u8> = (0..5000u32).flat_map(|number| number.to_le_bytes()).collect();
        let parts: Vec<IoSlice<'_>> = content.chunks(4).map(IoSlice::new).collect();
        let file = disk.open(&dir.join("a"), OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&parts, 3).unwrap();
        let mut bytes = vec![0; content.len()];
        assert_eq!(file.read_at(&mut bytes, 3).unwrap(), content.len());
        assert_eq!(bytes, content);
    });
}

#[test]
fn a_cut_file_reads_zeros_where_it_grows_again() {
    on_both("set-len", |disk, dir| {
        let file = disk.open(&dir.join("a"), OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&[IoSlice::new(&[7; 3 * BLOCK])], 0).unwrap();
        file.set_len(100).unwrap();
        assert_eq!(file.len().unwrap(), 100);
        file.set_len(2 * BLOCK as u64).unwrap();
        let mut bytes = vec![1; 3 * BLOCK];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 2 * BLOCK);
        assert_eq!(bytes[..100], [7; 100]);
        assert!(bytes[100..2 * BLOCK].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn opening_says_what_is_wrong() {
    on_both("open", |disk, dir| {
        let path = dir.join("a");
        assert_eq!(kind(disk.open(&path, OpenOptions::READ)), ErrorKind::NotFound);
        assert_eq!(kind(disk.open(&path, OpenOptions::WRITE)), ErrorKind::NotFound);
        assert_eq!(kind(disk.open(&dir.join("none/a"), OpenOptions::CREATE_NEW)), ErrorKind::NotFound);
        write(disk, &path, b"x");
        assert_eq!(kind(disk.open(&path, OpenOptions::CREATE_NEW)), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.open(&path, OpenOptions::CREATE_NEW.direct())), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.open(&path.join("b"), OpenOptions::READ)), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.open(dir, OpenOptions::READ)), ErrorKind::IsADirectory);
        assert_eq!(kind(disk.open(&dir.join("x".repeat(256)), OpenOptions::CREATE_NEW)), ErrorKind::InvalidFilename);
    });
}

#[test]
fn a_file_opened_to_read_takes_no_writes() {
    on_both("read-only", |disk, dir| {
        let path = dir.join("a");
        write(disk, &path, b"x");
        let file = disk.open(&path, OpenOptions::READ).unwrap();
        assert!(file.write_all_at(&[IoSlice::new(b"y")], 0).is_err());
        assert!(file.set_len(0).is_err());
        assert_eq!(read_file(disk, &path, 10).unwrap(), b"x");
    });
}

#[test]
fn directories_are_listed_by_name_and_removed_when_empty() {
    on_both("dirs", |disk, dir| {
        create_dir_all(disk, &dir.join("b/c/d")).unwrap();
        create_dir_all(disk, &dir.join("b/c/d")).unwrap();
        write(disk, &dir.join("a"), b"");
        write(disk, &dir.join("b0"), b"");
        assert_eq!(names(disk, dir), ["a", "b/", "b0"]);
        assert_eq!(kind(disk.create_dir(&dir.join("b"))), ErrorKind::AlreadyExists);
        assert_eq!(kind(disk.create_dir(&dir.join("x/y"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove_dir(&dir.join("b"))), ErrorKind::DirectoryNotEmpty);
        assert_eq!(kind(disk.remove_dir(&dir.join("a"))), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.remove_file(&dir.join("b"))), ErrorKind::IsADirectory);
        assert_eq!(kind(disk.remove_file(&dir.join("none"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.read_dir(&dir.join("none"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.read_dir(&dir.join("a"))), ErrorKind::NotADirectory);
        assert_eq!(kind(disk.sync_dir(&dir.join("a"))), ErrorKind::NotADirectory);
        disk.remove_dir(&dir.join("b/c/d")).unwrap();
        disk.remove_file(&dir.join("a")).unwrap();
        assert_eq!(names(disk, &dir.join("b/c")), Vec::<String>::new());
        assert_eq!(names(disk, dir), ["b/", "b0"]);
    });
}

#[test]
fn a_rename_replaces_and_open_files_live_on() {
    on_both("rename", |disk, dir| {
        let (a, b) = (dir.join("a"), dir.join("b"));
        write(disk, &a, b"new");
        write(disk, &b, b"old");
        let old = disk.open(&b, OpenOptions::WRITE).unwrap();
        disk.rename(&a, &b).unwrap();
        assert_eq!(names(disk, dir), ["b"]);
        assert_eq!(read_file(disk, &b, 10).unwrap(), b"new");
        old.write_all_at(&[IoSlice::new(b"O")], 0).unwrap();
        let mut bytes = [0; 3];
        assert_eq!(old.read_at(&mut bytes, 0).unwrap(), 3);
        assert_eq!(&bytes, b"Old");
        disk.rename(&b, &b).unwrap();
        assert_eq!(kind(disk.rename(&a, &b)), ErrorKind::NotFound);
        disk.create_dir(&dir.join("d")).unwrap();
        assert_eq!(kind(disk.rename(&b, &dir.join("d"))), ErrorKind::IsADirectory);
        disk.rename(&dir.join("d"), &dir.join("e")).unwrap();
        assert_eq!(kind(disk.rename(&dir.join("e"), &dir.join("e/f"))), ErrorKind::InvalidInput);
        disk.rename(&b, &dir.join("e/b")).unwrap();
        assert_eq!(names(disk, dir), ["e/"]);
        assert_eq!(names(disk, &dir.join("e")), ["b"]);
    });
}

#[test]
fn a_direct_file_wants_whole_blocks() {
    on_both("direct", |disk, dir| {
        let file = disk.open(&dir.join("a"), OpenOptions::CREATE_NEW.direct()).unwrap();
        let mut buffer = AlignedBuffer::new(2 * BLOCK);
        buffer.fill(5);
        file.write_all_at(&[IoSlice::new(&buffer)], BLOCK as u64).unwrap();
        assert_eq!(file.len().unwrap(), 3 * BLOCK as u64);
        let aligned = IoSlice::new(&buffer[..BLOCK]);
        assert_eq!(kind(file.write_all_at(&[aligned], 512)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.write_all_at(&[IoSlice::new(&buffer[..100])], 0)), ErrorKind::InvalidInput);
        assert_eq!(kind(file.write_all_at(&[IoSlice::new(&buffer[8..BLOCK + 8])], 0)), ErrorKind::InvalidInput);
        file.sync_data().unwrap();
        let mut read = AlignedBuffer::new(4 * BLOCK);
        assert_eq!(file.read_at(&mut read, 0).unwrap(), 3 * BLOCK);
        assert!(read[..BLOCK].iter().all(|byte| *byte == 0));
        assert!(read[BLOCK..3 * BLOCK].iter().all(|byte| *byte == 5));
        // An end that is no multiple of a block.
        file.set_len(2 * BLOCK as u64 + 7).unwrap();
        assert_eq!(file.read_at(&mut read, 0).unwrap(), 2 * BLOCK + 7);
        // Both ways to the same file see the same bytes.
        let ordinary = disk.open(&dir.join("a"), OpenOptions::READ).unwrap();
        let mut bytes = [0; 2];
        assert_eq!(ordinary.read_at(&mut bytes, BLOCK as u64 - 1).unwrap(), 2);
        assert_eq!(bytes, [0, 5]);
    });
}

#[test]
fn fresh_pages_are_cached_and_a_read_beyond_the_end_is_too() {
    on_both("cached", |disk, dir| {
        let file = disk.open(&dir.join("a"), OpenOptions::CREATE_NEW).unwrap();
        file.write_all_at(&[IoSlice::new(&[3; 2 * BLOCK])], 0).unwrap();
        let mut bytes = vec![0; 3 * BLOCK];
        assert_eq!(file.read_cached_at(&mut bytes, 10).unwrap(), Some(2 * BLOCK - 10));
        assert_eq!(file.read_cached_at(&mut bytes, 1 << 20).unwrap(), Some(0));
        file.start_writeback(0..2 * BLOCK as u64).unwrap();
        file.sync_data().unwrap();
        file.forget_cached(0..2 * BLOCK as u64).unwrap();
        assert_eq!(file.read_cached_at(&mut bytes, 0).unwrap(), None);
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 2 * BLOCK);
        assert_eq!(file.read_cached_at(&mut bytes, 0).unwrap(), Some(2 * BLOCK));
        assert!(bytes[..2 * BLOCK].iter().all(|byte| *byte == 3));
    });
}

#[test]
fn a_lock_is_held_once() {
    on_both("lock", |disk, dir| {
        let held = disk.lock(dir, ".lock").unwrap();
        assert_eq!(kind(disk.lock(dir, ".lock").map(drop)), ErrorKind::WouldBlock);
        drop(disk.lock(dir, ".other").unwrap());
        drop(held);
        drop(disk.lock(dir, ".lock").unwrap());
        assert_eq!(names(disk, dir), [".lock", ".other"]);
        assert_eq!(kind(disk.lock(&dir.join("none"), ".lock").map(drop)), ErrorKind::NotFound);
    });
}

#[test]
fn a_small_file_is_replaced_whole() {
    on_both("replace", |disk, dir| {
        let path = dir.join("meta");
        replace_file(disk, &path, b"one").unwrap();
        write(disk, &dir.join("meta.tmp"), b"left over by a crash");
        replace_file(disk, &path, b"three").unwrap();
        assert_eq!(read_file(disk, &path, 5).unwrap(), b"three");
        assert_eq!(kind(read_file(disk, &path, 4)), ErrorKind::InvalidData);
        assert_eq!(names(disk, dir), ["meta"]);
    });
}

#[test]
fn space_is_of_the_file_system() {
    on_both("space", |disk, dir| {
        create_dir_all(disk, &dir.join("a")).unwrap();
        let (whole, part) = (disk.space(dir).unwrap(), disk.space(&dir.join("a")).unwrap());
        assert_eq!(whole.file_system_id, part.file_system_id);
        assert!(whole.free_bytes > 0 && whole.free_bytes <= whole.total_bytes);
        assert_eq!(kind(disk.space(&dir.join("none"))), ErrorKind::NotFound);
    });
}

#[test]
fn modification_time_is_the_wall_clocks() {
    on_both("modified", |disk, dir| {
        write(disk, &dir.join("a"), b"x");
        let modified = disk.open(&dir.join("a"), OpenOptions::READ).unwrap().modified_ms().unwrap();
        // The simulated wall clock stands at 0 until an executor sets it.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!(modified == 0 || (now - modified).abs() < 60_000, "modified at {modified}, now is {now}");
    });
}
