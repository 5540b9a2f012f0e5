#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Says what is needed to compare routes: each PCI function's way and configuration space, the tables,
# and, after each function was switched on, what the kernel said of its pin.
busybox() { /bin/busybox "$@"; }
hex() { busybox od -An -v -tx1 $2 "$1" | busybox tr -d " \n"; }
busybox mkdir -p /sys && busybox mount -t sysfs sys /sys || exit 1
for device in /sys/bus/pci/devices/*; do
    way=$(busybox readlink -f "$device")
    space=$(hex "$device/config" -N256)
    echo "result function ${way#/sys/devices/} $space"
done
for table in DSDT APIC FACP; do
    echo "result table $table $(hex /sys/firmware/acpi/tables/$table)"
done
for device in /sys/bus/pci/devices/*; do
    echo 1 2>/dev/null >"$device/enable"
done
dmesg | busybox grep 'PCI INT' | while read -r line; do echo "result kernel $line"; done
