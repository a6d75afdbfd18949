#!/bin/sh
# Runs doctests with the error codes of `compile_fail,E0…` checked: a stable
# rustdoc only checks that they fail, whatever for.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
