#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracer::fuzz_entry::anonymized(bytes));
