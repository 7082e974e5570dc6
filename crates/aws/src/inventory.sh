# What Lestrade asks of an instance: what is installed in it and which sockets wait for others, and nothing else. It reads; it writes
# nothing and starts no program but those of the base system. What is installed is compressed and told in pieces, as SSM hands on no
# more than 24,000 characters; sockets come with the first piece, for they may be others when the next one is asked for.
root=''
from=1
size=18000
most=5000
paths=''
LC_ALL=C
export LC_ALL
told() { printf '@file %s\n' "$1"; }
tell() {
  printf '@lestrade 1\n@kernel %s\n' "$(uname -r)"
  for file in /etc/os-release /usr/lib/os-release; do
    if [ -r "$root$file" ]; then told "$file"; cat "$root$file"; printf '\n'; break; fi
  done
  if [ -r "$root/var/lib/dpkg/status" ]; then
    told /var/lib/dpkg/status
    awk '/^(Package|Status|Architecture|Source|Version): /{print} /^$/{print}' "$root/var/lib/dpkg/status"
  fi
  if [ -r "$root/lib/apk/db/installed" ]; then
    told /lib/apk/db/installed
    awk '/^[PVAo]:/{print} /^$/{print}' "$root/lib/apk/db/installed"
  fi
  if [ -z "$root" ] && [ ! -r /var/lib/dpkg/status ] && command -v rpm >/dev/null 2>&1; then
    printf '@rpm\n'
    rpm -qa --qf '%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{MODULARITYLABEL}\n' 2>/dev/null |
      sort || printf '@unread rpm\n'
  fi
  for path in $paths; do
    find "$root$path" -xdev -type f \( -path '*.dist-info/METADATA' -o -path '*.egg-info/PKG-INFO' \) 2>/dev/null | sort |
      while IFS= read -r file; do told "${file#"$root"}"; sed -n '/^$/q;/^[A-Za-z-]*: /p' "$file" | head -n 30; printf '\n'; done
    find "$root$path" -xdev -type f -path '*/node_modules/*' -name package.json -size -16k 2>/dev/null | sort |
      while IFS= read -r file; do told "${file#"$root"}"; cat "$file"; printf '\n'; done
  done
  printf '@end\n'
}
# The package that a program belongs to; a list may still have the place that it had before folders were merged into /usr.
owner() {
  for path in "$1" "${1#/usr}"; do
    if [ -d "$root/var/lib/dpkg/info" ]; then
      list=$(grep -lxF -e "$path" "$root"/var/lib/dpkg/info/*.list 2>/dev/null | head -n 1)
      if [ -n "$list" ]; then list=${list##*/}; list=${list%.list}; printf '%s' "${list%%:*}"; return; fi
    fi
    if [ -r "$root/lib/apk/db/installed" ]; then
      name=$(awk -v path="$path" '/^P:/{p=substr($0,3)} /^F:/{f=substr($0,3)} /^R:/{if ("/" f "/" substr($0,3) == path) {print p; exit}}' \
        "$root/lib/apk/db/installed")
      if [ -n "$name" ]; then printf '%s' "$name"; return; fi
    fi
  done
  if [ -z "$root" ] && [ ! -d /var/lib/dpkg/info ] && command -v rpm >/dev/null 2>&1; then
    rpm -qf --qf '%{NAME}\n' "$1" 2>/dev/null | head -n 1 | grep -v ' '
  fi
}
# Protocol, address and port as the kernel writes them, process, program, package. Of UDP not the ports that are given out to who asks.
sockets() {
  range=$(cat "$root/proc/sys/net/ipv4/ip_local_port_range" 2>/dev/null)
  rows=$(for table in tcp tcp6 udp udp6; do
    [ -r "$root/proc/net/$table" ] && awk -v table="$table" \
      'NR > 1 && ((table ~ /^tcp/ && $4 == "0A") || (table ~ /^udp/ && $3 ~ /:0000$/)) {print substr(table, 1, 3), $2, $10}' \
      "$root/proc/net/$table"
  done)
  [ -r "$root/proc/net/tcp" ] || [ -r "$root/proc/net/tcp6" ] || return
  printf '@range %s\n' "$range"
  # Of several folders it names each.
  held=$(ls -l "$root"/proc/[0-9]*/fd /dev/null 2>/dev/null | awk '/^\//{n = split($0, part, "/"); pid = part[n - 1]} / socket:\[/{print $NF, pid}')
  printf '%s\n' "$rows" | sort -u | while read -r protocol local inode; do
    [ -n "$inode" ] || continue
    process='' program='' package=''
    pid=$(printf '%s\n' "$held" | awk -v socket="socket:[$inode]" '$1 == socket {print $2}' | sort -n | head -n 1)
    if [ -n "$pid" ]; then
      process=$(head -n 1 "$root/proc/$pid/comm" 2>/dev/null | tr -d '\t')
      program=$(readlink "$root/proc/$pid/exe" 2>/dev/null | tr -d '\t\n')
      program=${program%' (deleted)'}
      if [ -n "$program" ]; then package=$(owner "$program"); fi
    fi
    printf '%s\t%s\t%s\t%s\t%s\n' "$protocol" "$local" "$process" "$program" "$package"
  done
  printf '@end\n'
}
packed=$(tell | gzip -n -9 | base64 | tr -d '\n')
printf '%s %s\n' "${#packed}" "$(printf '%s' "$packed" | sha256sum | cut -c1-64)"
printf '%s\n' "$packed" | cut -c"$from-$((from + size - 1))"
if [ "$from" = 1 ]; then
  waiting=$(sockets | gzip -n -9 | base64 | tr -d '\n')
  if [ "${#waiting}" -le "$most" ]; then printf '%s\n' "$waiting"; fi
fi
