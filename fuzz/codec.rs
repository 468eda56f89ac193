//! What must hold for any bytes that claim to be a message. The fuzzer calls it, and so does `cargo test`
//! (`crates/protocol/tests/any_bytes.rs`), so that it cannot rot. It panics where something does not hold.

use protocol::{ApiKey, EncodeError, MessageKind, RequestFrame, decode_response_header};

/// The first byte chooses the message, the second its version, the third a version to write it at; the rest is the
/// message. The same bytes are also taken for a frame.
pub fn hold(data: &[u8]) {
    frame(data);
    let [kind, version, other, bytes @ ..] = data else { return };
    let kind = MessageKind::ALL[usize::from(*kind) % MessageKind::ALL.len()];
    message(kind, version_of(kind, *version), version_of(kind, *other), bytes);
}

/// A header that was read leaves the end of the frame as the body, and names an API that knows its header.
fn frame(data: &[u8]) {
    if let Ok(frame) = RequestFrame::parse(data) {
        assert!(data.ends_with(frame.body) && data.len() - frame.body.len() >= 8);
        assert_eq!(frame.api_key.code().to_be_bytes(), data[..2]);
    }
    for api_key in [ApiKey::ApiVersions, ApiKey::Metadata] {
        if let Ok((_, body)) = decode_response_header(api_key, 9, data) {
            assert!(data.ends_with(body));
        }
    }
}

/// What was taken for a message is one: it can be read as a whole, written again, and is then the same for good. False
/// if it was refused.
pub fn message(kind: MessageKind, version: i16, other: i16, bytes: &[u8]) -> bool {
    let context = || format!("{} v{version}: {bytes:02x?}", kind.name());
    let Ok(rest) = kind.check(version, bytes) else { return false };
    assert!(bytes.ends_with(rest), "{}", context());
    match kind.reencode(version, version, bytes).unwrap_or_else(|error| panic!("{error}: {}", context())) {
        Ok(written) => {
            assert_eq!(kind.check(version, &written), Ok(&[][..]), "{}", context());
            assert_eq!(kind.reencode(version, version, &written), Ok(Ok(written.clone())), "{}", context());
        }
        // Tagged fields that come twice or out of order are read, as in Kafka, and not written.
        Err(EncodeError::TagOrder(_)) => {}
        Err(error) => panic!("{error}: {}", context()),
    }
    if let Ok(written) = kind.reencode(version, other, bytes).expect("decoded above") {
        assert_eq!(kind.check(other, &written), Ok(&[][..]), "to v{other}: {}", context());
    }
    true
}

fn version_of(kind: MessageKind, byte: u8) -> i16 {
    let (low, high) = kind.versions().into_inner();
    low + i16::from(byte) % (high - low + 1)
}
