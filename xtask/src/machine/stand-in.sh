#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Stands in for QEMU in the tests of a run: takes its options, writes what a machine would, and ends
# as the first word of the image says.
while [ $# -gt 0 ]; do
    case $1 in
    -serial) console=${2#file:} ;;
    -debugcon) report=${2#file:} ;;
    -initrd) image=$2 ;;
    -append) options=$2 ;;
    esac
    shift
done
echo "L0 | options: $options" >"$console"
case $(cat "$image") in
success)
    echo '{"type":"row","device":"1234:11e8","bdf":"00:02.0","entry":0,"cpu":0,"reserved":64,"vector":81,"mode":"posted","messages":3,"relayed":3,"merged":0,"lost":0,"host_exits":0,"tdvmcalls":0}' >"$report"
    echo '{"type":"end","status":"success","message":"","instructions":1000}' >>"$report"
    exit 33 ;;
hang) exec sleep 600 ;;
*)
    echo "stand-in: cannot do that" >&2
    exit 1 ;;
esac
