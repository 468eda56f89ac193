//! Bytes that nobody wrote on purpose, and bytes that somebody wrote to do harm: nothing panics, what is taken for a
//! message is one (`fuzz/codec.rs`), and memory stays in proportion to what was received.

#[path = "../../../fuzz/codec.rs"]
mod codec;
#[path = "oracle/random.rs"]
mod random;

use std::path::Path;

use allocation_counter::{AllocationInfo, measure};
use protocol::{MessageKind, RequestFrame};
use random::{Rng, random_message};

const MUTANTS_PER_VERSION: usize = 60;
/// What may be allocated to copy a message to its owned shape.
const OWNED_BYTES_MIN: u64 = 64 << 10;
const OWNED_BYTES_PER_BYTE: f64 = 64.0;

fn every_version() -> impl Iterator<Item = (MessageKind, i16)> {
    MessageKind::ALL.iter().flat_map(|&kind| kind.versions().map(move |version| (kind, version)))
}

#[test]
fn inputs_that_the_fuzzer_once_kept_still_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/codec");
    let files: Vec<_> =
        std::fs::read_dir(&corpus).expect("the corpus is committed").map(|file| file.unwrap()).collect();
    for file in &files {
        codec::hold(&std::fs::read(file.path()).expect("a file"));
    }
    assert!(files.len() >= 50, "{} files in {}", files.len(), corpus.display());
}

/// Every prefix, and mutants of valid messages of every version.
#[test]
fn any_bytes_are_a_message_or_refused() {
    let mut rng = Rng::new(5);
    let (mut taken, mut refused) = (0, 0);
    for (kind, version) in every_version() {
        let (low, high) = kind.versions().into_inner();
        let message = random_message(kind, &mut rng, version);
        let ends = (0..message.len()).filter(|end| *end < 200 || rng.below(message.len()) < 100);
        for end in ends.collect::<Vec<_>>() {
            let checked = kind.check(version, &message[..end]);
            assert!(checked.is_err(), "{} v{version}: {:02x?}", kind.name(), &message[..end]);
        }
        for _ in 0..MUTANTS_PER_VERSION {
            let mut bytes = random_message(kind, &mut rng, version);
            mutate(&mut bytes, &mut rng);
            let other = low + rng.below((high - low + 1) as usize) as i16;
            let counter = if codec::message(kind, version, other, &bytes) { &mut taken } else { &mut refused };
            *counter += 1;
        }
    }
    println!("{taken} mutants taken, {refused} refused");
    assert!(taken > 10_000 && refused > 10_000, "the mutations no longer reach both");
}

#[test]
fn any_bytes_are_a_frame_or_refused() {
    let mut rng = Rng::new(6);
    let mut parsed = 0;
    for _ in 0..100_000 {
        let key = rng.below(100) as i16 - 2;
        let mut frame = [key.to_be_bytes(), (rng.below(20) as i16 - 2).to_be_bytes()].concat();
        frame.extend((0..rng.below(24)).map(|_| if rng.one_in(2) { 0 } else { rng.next() as u8 }));
        codec::hold(&frame);
        let allocated = measure(|| parsed += usize::from(RequestFrame::parse(&frame).is_ok()));
        assert_eq!(allocated, AllocationInfo::default(), "{frame:02x?}");
    }
    println!("{parsed} frames parsed");
    assert!(parsed > 10_000);
}

/// Validating allocates nothing at all, whatever the bytes claim. Copying to the owned shape, as clients do, takes a
/// struct for each element that was received, and an element may be one byte.
#[test]
fn memory_is_bounded_by_what_was_received() {
    let mut rng = Rng::new(7);
    let (mut judged, mut taken, mut worst, mut worst_of) = (0, 0, 0.0, String::new());
    for (kind, version) in every_version() {
        for bytes in [liars(kind, version, &mut rng), thin(kind, version, &mut rng)].concat() {
            let checked = measure(|| taken += usize::from(kind.check(version, &bytes).is_ok()));
            assert_eq!(checked, AllocationInfo::default(), "{} v{version}: {bytes:02x?}", kind.name());
            // No message has that version: it is decoded, and then not encoded.
            let owned = measure(|| drop(kind.reencode(version, i16::MAX, &bytes)));
            let factor = owned.bytes_max.saturating_sub(OWNED_BYTES_MIN) as f64 / bytes.len() as f64;
            if factor > worst {
                (worst, worst_of) = (factor, format!("{} v{version} of {} bytes", kind.name(), bytes.len()));
            }
            judged += 1;
        }
    }
    println!("{judged} inputs, {taken} taken; owned at worst {worst:.1} bytes for each received: {worst_of}");
    assert!(taken > judged / 10 && worst < OWNED_BYTES_PER_BYTE, "{taken} of {judged} taken, {worst_of}: {worst:.1}");
}

/// Messages of nothing but thousands of elements, of as few bytes as there can be.
fn thin(kind: MessageKind, version: i16, rng: &mut Rng) -> Vec<Vec<u8>> {
    let one = |array: usize| {
        rng.thin = Some(array / 2);
        random_message(kind, rng, version)
    };
    let all = (0..8).map(one).filter(|bytes| bytes.len() > 4000).collect();
    rng.thin = None;
    all
}

/// Messages with zeros behind them, and in turn at each of their first bytes a length that claims all that follows.
fn liars(kind: MessageKind, version: i16, rng: &mut Rng) -> Vec<Vec<u8>> {
    const ZEROS: usize = 16 << 10;
    let message = random_message(kind, rng, version);
    let mut all = Vec::new();
    for at in 0..message.len().min(40) {
        let claims: [&[u8]; 4] = [
            &((ZEROS - 64) as u32).to_be_bytes(),
            &[0x80, 0x7f],       // 16,255 as a varint
            &[0xff, 0xff, 0x7f], // two million
            &[0x7f, 0xff, 0xff, 0xff],
        ];
        for claim in claims {
            let mut bytes = [&message[..at], claim].concat();
            bytes.resize(bytes.len() + ZEROS, 0);
            all.push(bytes);
        }
    }
    all
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.below(bytes.len());
        match rng.below(7) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.next() as u8),
            4 => bytes[at..].fill(0),
            5 => bytes.extend_from_within(at..),
            _ => drop(bytes.remove(at)),
        }
    }
}
