#!/bin/bash
# Process 1 of a node of `kubelet.ts`, in PID, mount and UTS namespaces of its own: containerd and a kubelet, and nothing of theirs outside of FOLDER.
#   kubelet-node.sh FOLDER NAME, with KUBELET (the program and its options, split at spaces) in the environment
set -euo pipefail
folder=$1 name=$2
read -r stat </proc/self/stat # still the outer /proc: the number by which others know this process
echo "${stat%% *}" >"$folder/pid.part"

# Other network namespaces would live for as long as this one sees them.
findmnt -rno TARGET | { grep -E '^(/var)?/run/netns(/|$)' || true; } | tac | while read -r target; do umount -l "$target"; done
mount -t proc proc /proc
# A /sys of this network namespace, with the machine's cgroups.
mkdir -p "$folder/cgroup"
mount --rbind /sys/fs/cgroup "$folder/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$folder/cgroup" /sys/fs/cgroup
umount -R -l "$folder/cgroup"
# What programs have fixed paths in.
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /run/netns /run/lock
# Settings that a kubelet makes for the whole machine: it finds them made.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  echo "${setting#*=}" >"$folder/${setting//[\/=]/.}"
  mount --bind "$folder/${setting//[\/=]/.}" "/proc/sys/${setting%=*}"
done
mount --make-rshared /
hostname "$name"

containerd --config "$folder/containerd.toml" >>"$folder/containerd.log" 2>&1 &
for _ in $(seq 200); do
  ! ctr --timeout 2s version >/dev/null 2>&1 || break
  sleep 0.1
done
for image in "$folder"/*image.tar; do ctr -n k8s.io images import --snapshotter native "$image" >/dev/null; done
# shellcheck disable=SC2086
AWS_EC2_METADATA_DISABLED=true $KUBELET >>"$folder/kubelet.log" 2>&1 &
mv "$folder/pid.part" "$folder/pid"
wait -n
echo 'containerd or the kubelet ended' >>"$folder/kubelet.log"
exit 1
