//! Whole directories in one file: a tar archive of plain files, as tar itself writes it, compressed by zstd. Lane files are
//! mostly zeros, and are unpacked with holes.
use std::fs::{File, create_dir_all};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

const BLOCK: usize = 512;
/// What is zero over this length is not written.
const HOLE: usize = 4096;

pub fn unpack(archive: &Path, to: &Path) {
    let packed = std::fs::read(archive).unwrap_or_else(|error| panic!("{}: {error}", archive.display()));
    let bytes = zstd::decode_all(packed.as_slice()).unwrap();
    let mut rest = bytes.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<BLOCK>().filter(|(head, _)| head[0] != 0) {
        let text = |from: usize, len: usize| {
            let field = &head[from..from + len];
            String::from_utf8(field[..field.iter().position(|byte| *byte == 0).unwrap_or(len)].to_vec()).unwrap()
        };
        let (name, kind) = (text(345, 155) + "/" + &text(0, 100), head[156]);
        let len = usize::from_str_radix(text(124, 12).trim(), 8).unwrap();
        let path = to.join(name.trim_start_matches(['/', '.']));
        match kind {
            b'5' => create_dir_all(&path).unwrap(),
            b'0' => write(&path, &behind[..len]),
            other => panic!("{}: an entry of kind {other}", path.display()),
        }
        rest = &behind[len.next_multiple_of(BLOCK)..];
    }
}

fn write(path: &Path, content: &[u8]) {
    create_dir_all(path.parent().unwrap()).unwrap();
    let file = File::create(path).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for (index, block) in content.chunks(HOLE).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, (index * HOLE) as u64).unwrap();
        }
    }
}

pub fn pack(from: &Path, archive: &Path) {
    let mut command = Command::new("tar");
    command.args(["--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-cf", "-", "-C"]);
    let packed = command.arg(from).arg(".").output().unwrap();
    assert!(packed.status.success(), "{packed:?}");
    std::fs::write(archive, zstd::encode_all(packed.stdout.as_slice(), 19).unwrap()).unwrap();
}
