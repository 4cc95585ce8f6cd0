# vm_boot.sh FOLDER CGROUP: PID 1 of a machine of its own: Debian's systemd over this machine's files,
# of which it changes none. Runs in namespaces of its own, mounts and processes among them.
set -eu
folder=$1
cgroup=$2
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder/changed" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay -o "lowerdir=/,upperdir=$folder/changed,workdir=$folder/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/old"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

# A fresh machine: what this one has enabled is not, and what apt has started is.
units=$root/etc/systemd/system
rm -rf "$units"/*.wants "$units"/*.requires
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=dbus.socket caddy.service nginx.service coturn.service\n' \
    > "$units/fresh.target"
for unit in systemd-firstboot systemd-networkd systemd-udevd systemd-resolved systemd-timesyncd; do
    ln -sf /dev/null "$units/$unit.service"
done
rm -f "$root/usr/sbin/policy-rc.d" "$root/etc/machine-id"
mkdir -p "$root/etc/apt/apt.conf.d"
echo 'APT::Get::Upgrade "false";' > "$root/etc/apt/apt.conf.d/99test"

cd "$root"
pivot_root . old
umount -l /old
rmdir /old
exec env -i container=voxwire-test LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=fresh.target --log-target=journal --show-status=false
