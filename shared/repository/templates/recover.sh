#!/bin/sh
# Restores one backup of a Goldcopy repository, without Goldcopy. Repository format 1. See RECOVER.md beside this file.
#
#     AGE_IDENTITY=identity.txt sh recover.sh                                      lists the backups
#     AGE_IDENTITY=identity.txt sh recover.sh BACKUP_ID postgresql://user@host/db  restores one
#     AGE_IDENTITY=identity.txt UNPACK_TO=FOLDER sh recover.sh BACKUP_ID           only unpacks it
#
# Needs age, zstd, tar, pg_restore and one of sha256sum, shasum, openssl; psql too where it can be had.
# Ends with 0 only when every digest fitted and the whole restore went without an error.
# More settings: TMPDIR (where the backup is unpacked), OVERWRITE=yes (a destination that is not empty), PGOPTIONS.

set -u
umask 077
LC_ALL=C
export LC_ALL

fail() {
    printf 'recover.sh: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '            %s\n' "$line" >&2; done
    exit 1
}

say() { printf '%s\n' "$1"; }

have() { command -v "$1" >/dev/null 2>&1; }

require() { have "$1" || fail "the program $1 is not here" "$2"; }

# The digest of a file, as 64 hex digits.
digest_of() {
    if have sha256sum; then
        set -- "$(sha256sum <"$1")"
    elif have shasum; then
        set -- "$(shasum -a 256 <"$1")"
    else
        set -- "$(openssl dgst -sha256 -r <"$1")"
    fi
    printf '%s\n' "${1%%[!0-9a-f]*}"
}

size_of() {
    set -- $(wc -c <"$1")
    printf '%s\n' "$1"
}

# The password in a URL, or after password=, is never printed.
without_password() {
    printf '%s\n' "$1" | sed -e 's,\([A-Za-z0-9+]*://[^:/@]*\):.*@,\1:***@,' \
        -e "s/\(password[[:space:]]*=[[:space:]]*\)'[^']*'/\1***/g" \
        -e "s/\(password[[:space:]]*=[[:space:]]*\)[^[:space:]&'*][^[:space:]&]*/\1***/g"
}

show() { # a file of messages, indented, at most 50 lines
    head -n 50 "$1" | while IFS= read -r line; do printf '  %s\n' "$(without_password "$line")"; done
}

cd "$(dirname "$0")" || exit 1
repository=$(pwd)
[ -f goldcopy.json ] || fail "there is no goldcopy.json beside this script" \
    "Run it inside a copy of the repository: the folder with goldcopy.json, sources/ and this file."

if [ $# -eq 0 ]; then
    say "usage: AGE_IDENTITY=identity.txt sh recover.sh BACKUP_ID postgresql://user@host/database"
    say "backups in $repository, oldest first within a source:"
    for manifest in sources/*/backups/*/manifest.json; do
        [ -f "$manifest" ] || continue
        folder=${manifest%/manifest.json}
        say "  ${folder##*/}"
    done
    exit 2
fi

backup_id=$1
destination=${2-}
case $backup_id in
    '' | *[!A-Za-z0-9._-]*) fail "this is not the id of a backup" "Run the script without arguments for a list." ;;
esac
[ -n "$destination" ] || [ -n "${UNPACK_TO-}" ] || fail "the destination is missing" \
    "Give a database as the second argument, or set UNPACK_TO to a folder to unpack only."

folder=
for manifest in sources/*/backups/"$backup_id"/manifest.json; do
    [ -f "$manifest" ] && folder=${manifest%/manifest.json}
done
[ -n "$folder" ] || fail "there is no backup $backup_id here" "Run the script without arguments for a list."

require age "Install age (https://age-encryption.org); the package is called age."
require zstd "Install zstd; the package is called zstd."
require tar "Install tar."
have sha256sum || have shasum || have openssl || fail "no program can compute SHA-256" \
    "Install sha256sum (coreutils), shasum (perl) or openssl."
[ -z "$destination" ] || require pg_restore \
    "Install the PostgreSQL client tools of the server's major version or newer."
[ -n "${AGE_IDENTITY-}" ] || fail "AGE_IDENTITY is not set" \
    "Set it to the file with the private key (AGE-SECRET-KEY-1...)."
case $AGE_IDENTITY in /*) identity=$AGE_IDENTITY ;; *) identity=${OLDPWD:-$repository}/$AGE_IDENTITY ;; esac
[ -r "$identity" ] || fail "the identity file $AGE_IDENTITY cannot be read" "Relative paths count from where you are."
case ${UNPACK_TO-} in '' | /*) unpack_to=${UNPACK_TO-} ;; *) unpack_to=${OLDPWD:-$repository}/$UNPACK_TO ;; esac

work=${TMPDIR:-/tmp}/goldcopy-recover.$$
mkdir -m 700 "$work" || fail "the folder $work cannot be made" "Set TMPDIR to a folder with enough room."
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
dump=$work/dump
mkdir "$dump"

# --- 1. the manifest: its own digest, and through it the digest of files.tsv
manifest_digest=$(sed -n 's/.*,"sha256":"\([0-9a-f]\{64\}\)","snapshot_id":.*/\1/p' "$folder/manifest.json")
sed -e 's/"mac":"[0-9a-f]\{64\}",//' -e 's/,"sha256":"[0-9a-f]\{64\}","snapshot_id":/,"snapshot_id":/' \
    "$folder/manifest.json" >"$work/manifest"
[ "$(digest_of "$work/manifest")" = "$manifest_digest" ] || fail "the manifest of $backup_id is damaged" \
    "Use another backup, or another copy of the repository."
grep -q -F "\"backup_id\":\"$backup_id\"" "$work/manifest" || fail "the manifest is that of another backup" \
    "Use another backup, or another copy of the repository."
table_digest=$(sed -n 's/.*,"files_tsv_sha256":"\([0-9a-f]\{64\}\)",.*/\1/p' "$work/manifest")
[ -f "$folder/files.tsv" ] || fail "$folder/files.tsv is missing" "Use another copy of the repository."
[ "$(digest_of "$folder/files.tsv")" = "$table_digest" ] || fail "$folder/files.tsv is damaged" \
    "Use another copy of the repository, or another backup."

# What the manifest says under a name, for people.
fact() { sed -n "s/.*\"$1\":\"\([^\"\\\\]*\)\".*/\1/p" "$work/manifest"; }
say "backup $backup_id: recovery point $(fact recovery_point_at), PostgreSQL $(fact server_version)"

# --- 2. a destination that holds something already is refused
if [ -n "$destination" ]; then
    say "destination: $(without_password "$destination")"
    if have psql; then
        counted=$(psql -X -A -t -q -d "$destination" -c "select count(*) from (
                select c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass, c.relnamespace from pg_catalog.pg_class c
                union all
                select p.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass, p.pronamespace from pg_catalog.pg_proc p
            ) as found (oid, classid, namespace)
            join pg_catalog.pg_namespace n on n.oid = namespace
            where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
              and not exists (select from pg_catalog.pg_depend d
                              where d.classid = found.classid and d.objid = found.oid and d.deptype = 'e')" \
            2>"$work/errors") || {
            # what libpq says of a URL that it cannot read may quote a piece of the password
            grep -q -i -E 'invalid|unexpected|unrecognized|missing|forbidden' "$work/errors" || show "$work/errors" >&2
            fail "the destination cannot be reached" \
                "Check host, port, database, user and password (put it into PGPASSWORD or ~/.pgpass)." \
                "Special characters in a URL's password must be percent-encoded."
        }
        [ "$counted" = 0 ] || [ "${OVERWRITE-}" = yes ] || fail \
            "the destination is not empty: it holds $counted relations and functions" \
            "Create an empty database (createdb) and give that one. OVERWRITE=yes restores into it all the same."
    else
        say "psql is not here: whether the destination is empty was not checked, and roles are not restored."
    fi
fi

# --- 3. every object: size, digest, age, zstd; then its files into place
tab=$(printf '\t')
opened=
objects=0

open_object() { # key, sha256, stored_bytes, member: leaves the content in $work/content, or members in $work/members
    rm -rf "$work/members" "$work/content" "$work/compressed"
    [ -f "$1" ] || fail "the object $1 is missing" "Look for it in another copy of the repository."
    [ "$(size_of "$1")" = "$3" ] || fail "the object $1 has not $3 bytes" "Take it from another copy of the repository."
    [ "$(digest_of "$1")" = "$2" ] || fail "the object $1 is damaged: its SHA-256 differs" \
        "Take it from another copy of the repository, or restore another backup."
    age -d -i "$identity" -o "$work/compressed" "$1" || fail "age cannot open $1" \
        "Is $AGE_IDENTITY the private key of one of the recipients? goldcopy.json lists their public keys."
    zstd -d -q -f -o "$work/content" "$work/compressed" || fail "zstd cannot unpack $1" \
        "Is the disk of $work full? Set TMPDIR to a larger one."
    if [ -n "$4" ]; then
        mkdir "$work/members"
        tar -x -f "$work/content" -C "$work/members" || fail "tar cannot unpack $1" \
            "Is the disk of $work full? Set TMPDIR to a larger one."
        rm "$work/content"
    fi
    objects=$((objects + 1))
}

while IFS=$tab read -r key path sha256 stored_bytes member; do
    case $key$path$member in
        *..* | *[!A-Za-z0-9._/-]*) fail "files.tsv names something unexpected" "Use another copy of the repository." ;;
    esac
    case $key in sources/*) ;; *) fail "files.tsv names something unexpected" "Use another copy." ;; esac
    case $path$member in */*) fail "files.tsv names something unexpected" "Use another copy." ;; esac
    if [ "$key" != "$opened" ]; then
        open_object "$key" "$sha256" "$stored_bytes" "$member"
        opened=$key
    fi
    if [ -n "$member" ]; then
        # a second name for the same content: several files of a dump may be equal
        ln "$work/members/$member" "$dump/$path" 2>/dev/null || cp "$work/members/$member" "$dump/$path" ||
            fail "$path cannot be taken out of $key" "Is the disk of $work full? Set TMPDIR to a larger one."
    else
        cat "$work/content" >>"$dump/$path" || fail "$path cannot be written" "Set TMPDIR to a disk with more room."
    fi
done <"$folder/files.tsv"
[ -f "$dump/toc.dat" ] || fail "the backup holds no toc.dat" "Restore another backup."
say "checked and unpacked $objects objects"

if [ -n "$unpack_to" ]; then
    mkdir -p "$unpack_to" || fail "the folder $unpack_to cannot be made" "Choose another one."
    [ -z "$(ls -A "$unpack_to")" ] || fail "the folder $unpack_to is not empty" "Choose an empty one."
    cp -R "$dump/." "$unpack_to/" || fail "the files cannot be copied to $unpack_to" "Choose a folder with more room."
    say "unpacked to $unpack_to: a pg_dump in directory format, with roles.sql, settings.sql and schema.json"
fi
[ -n "$destination" ] || exit 0

# --- 4. roles, then the dump, then the settings of the database
problems=0
PGOPTIONS=${PGOPTIONS--c lc_monetary=C -c statement_timeout=0 -c client_min_messages=warning}
export PGOPTIONS

run_sql() { # a file of the dump; its statements turn what the destination does not allow into warnings
    if have psql && [ -s "$dump/$1" ]; then
        say "$1"
        psql -X -q -v ON_ERROR_STOP=1 -d "$destination" -f "$dump/$1" >/dev/null 2>"$work/errors" ||
            problems=$((problems + 1))
        sed "s,$dump/,,g" "$work/errors" >"$work/shown"
        show "$work/shown"
    fi
}

run_sql roles.sql

say "pg_restore; this may take a while"
# At least two jobs: only then every table comes back in the very order of the dump.
pg_restore -j 2 -d "$destination" "$dump" >/dev/null 2>"$work/messages"
status=$?
# Client tools from 17 on set transaction_timeout, which older servers do not know; no data depends on it. All other
# messages count, each with the lines that belong to it.
awk -v harmless="$work/harmless" '
    function finish() {
        if (block != "" && skipped) print block > harmless
        if (block != "" && !skipped) print block
        block = ""
        skipped = 0
    }
    /^pg_restore: warning: errors ignored on restore/ { finish(); next }
    /^pg_restore: / { finish(); block = $0; next }
    /^Command was: SET transaction_timeout = 0;/ { skipped = 1 }
    { block = block == "" ? $0 : block "\n" $0 }
    END { finish() }' "$work/messages" >"$work/errors"
found=$(grep -c '^pg_restore: error:' "$work/errors")
if [ "$status" -ne 0 ] && [ "$found" -eq 0 ] && [ ! -s "$work/harmless" ]; then
    say "pg_restore ended with $status"
    found=1
fi
problems=$((problems + found))
show "$work/errors"

run_sql settings.sql

if [ "$problems" -ne 0 ]; then
    fail "restored with problems ($problems); they are shown above" \
        "The database holds what could be restored. Do not take it as whole before each of them is understood."
fi
say "restored $backup_id into $(without_password "$destination"): every digest fitted, and there was no error"
say "next: run ANALYZE there, and give passwords and LOGIN to the roles that need them (RECOVER.md)"
