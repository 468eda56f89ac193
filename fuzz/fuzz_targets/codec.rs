//! Hands what the fuzzer invents to the codec of every message.
#![no_main]

#[path = "../codec.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|data: &[u8]| codec::hold(data));
