#!/bin/sh
# A complete worker in POSIX shell. By hand: sh square.sh, then type: 7 square 12
printf '\036ready 1 {"pid":%d,"tasks":["square"]}\n' "$$"
while read -r id task argument; do
    case $id/$task/$argument in
        recall//) ;; # it never holds a request that it has not started
        */square/0 | */square/[1-9] | */square/[1-9]*[0-9])
            case $argument in
                *[!0-9]* | ??????????*) printf '\036%s err bad_argument "9 digits"\n' "$id" ;;
                *) printf '\036%s ok %d\n' "$id" "$((argument * argument))" ;;
            esac ;;
        */square/*) printf '\036%s err bad_argument "a whole number"\n' "$id" ;;
        *) printf '\036%s err unknown_task "only square"\n' "$id" ;;
    esac
done
