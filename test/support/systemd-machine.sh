#!/bin/bash
# A machine of `systemd-machine.ts`, of namespaces only: this file system under an overlay, a /dev, /proc, /sys and cgroup of its own, systemd as process 1.
#   systemd-machine.sh hold FOLDER NAME   makes its disk, says "ready", and ends it and what runs in it at the end of stdin
#   systemd-machine.sh boot FOLDER        in namespaces of its own but for cgroups: switches it on
#   systemd-machine.sh init FOLDER        in these too
# Disk and cgroups are mounted in the mount namespace of "hold" alone, so that they go with it however it ends.
set -euo pipefail
folder=$2 disk=$2/disk group=$2/cgroup/terway-edge-test-${2##*-}

# What the machine has on its disk from the start, in the place of what is installed on this one.
prepare() {
  local root=$1 units=$1/usr/lib/systemd/system
  rm -rf "$root"/{etc/terway-edge,var/lib/terway-edge,etc/cni,opt/cni,usr/local/bin/terway-edge,etc/fstab,var/log/journal}
  # Of units only those that are asked for below or by name: no timers, no consoles, nothing for hardware, no settings of the whole kernel.
  rm -rf "$root"/etc/systemd/system "$units"/*.wants "$root"/usr/lib/systemd/system-generators "$root"/etc/systemd/system-generators
  mkdir -p "$root"/etc/systemd/{system,journald.conf.d} "$units"/{sysinit,sockets,multi-user}.target.wants
  local unit
  for unit in systemd-journald.socket systemd-journald-dev-log.socket dbus.socket; do ln -s "../$unit" "$units/sockets.target.wants/"; done
  ln -s ../systemd-journald.service "$units/sysinit.target.wants/"
  ln -s /dev/null "$root/etc/systemd/system/systemd-journald-audit.socket" # audit is the whole kernel's
  printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nAudit=no\n' >"$root/etc/systemd/journald.conf.d/machine.conf"
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  echo "$2" >"$root/etc/hostname"
}

mount_overlay() { mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"; }

case $1 in
hold)
  trap '' HUP INT TERM # what ends a test at a terminal comes here too: the end of stdin is the sign
  mkdir "$disk" "$folder/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$disk"
  mkdir "$disk"/{upper,work,root}
  mount -t cgroup2 cgroup2 "$folder/cgroup"
  mkdir "$group"
  mount_overlay
  prepare "$disk/root" "$3"
  umount "$disk/root"
  echo ready
  cat >/dev/null
  # killing its process 1 kills the machine
  for _ in $(seq 100); do
    find "$group" -name cgroup.procs -exec cat {} + | xargs -r kill -KILL 2>/dev/null || true
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.05
  done
  umount "$folder/cgroup" "$disk"
  rm -f "$folder"/{pid,pid.part,boot.log}
  rmdir "$folder"/{cgroup,disk} "$folder"
  ;;
boot)
  read -r stat </proc/self/stat # still the outer /proc: the number by which others know this process
  echo "${stat%% *}" >"$folder/pid.part"
  echo 0 >"$group/cgroup.procs"
  exec unshare --cgroup "$0" init "$folder"
  ;;
init)
  mount_overlay
  mv "$folder/pid.part" "$folder/pid"
  cd "$disk/root"
  mount -t proc -o nosuid,nodev,noexec proc proc
  # Of the kernel's settings only those of its own network.
  mount --bind proc/sys/net proc/sys/net
  mount --rbind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  [ ! -e proc/sysrq-trigger ] || mount --bind /dev/null proc/sysrq-trigger
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
  for place in run tmp var/tmp dev; do mount -t tmpfs -o mode=755,nosuid tmpfs "$place"; done
  chmod 1777 tmp var/tmp
  for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mkdir dev/{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  hostname "$(<etc/hostname)"
  mkdir run/lower
  pivot_root . run/lower
  umount -l run/lower
  rmdir run/lower
  mount --make-rshared /
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no
  ;;
esac
