# What Lestrade asks of an instance: what is installed in it, and nothing else. It reads; it writes nothing and starts no program
# but those of the base system. The answer is compressed and told in pieces, as SSM hands on no more than 24,000 characters.
root=''
from=1
size=18000
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
packed=$(tell | gzip -n -9 | base64 | tr -d '\n')
printf '%s %s\n' "${#packed}" "$(printf '%s' "$packed" | sha256sum | cut -c1-64)"
printf '%s\n' "$packed" | cut -c"$from-$((from + size - 1))"
