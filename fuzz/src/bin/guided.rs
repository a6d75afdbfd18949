//! The driver that is led by coverage: libFuzzer over the target that the
//! variable `WRIT_FUZZ_TARGET` names. With `WRIT_FUZZ_SEEDS` it writes what each
//! target begins with into that folder, and ends.
#![no_main]
#![allow(
    unsafe_code,
    reason = "libFuzzer calls a C function, which the macro makes"
)]

use fuzz::Target;
use std::sync::OnceLock;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("WRIT_FUZZ_SEEDS") {
            fuzz::seeds::write(folder.as_ref()).expect("the seeds can be written");
            std::process::exit(0);
        }
        let name = std::env::var("WRIT_FUZZ_TARGET").expect("WRIT_FUZZ_TARGET names a target");
        let target = fuzz::find(&name).expect("there is a target of this name");
        let _ = TARGET.set(target);
        // The expression language guards itself against panics of its library;
        // the hook that comes with libFuzzer would abort before it can.
        drop(std::panic::take_hook());
    },
    |data: &[u8]| {
        let target = TARGET.get().expect("set at the start");
        (target.run)(data);
    }
);
