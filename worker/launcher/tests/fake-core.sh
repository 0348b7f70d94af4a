#!/bin/sh
# A core for the launcher's tests. What it does is named by the release tag it is started with.
tag=$6
tab=$(printf '\t')
case $tag in
  obedient) # says that it waits, repeats what it is told to stderr, ends with 6 when told to stop
    echo "waiting${tab}work"
    while read -r line; do
      echo "$line" >&2
      case $line in stop*) exit 6 ;; esac
    done
    exit 0 ;;
  parent) # starts another process, says its number, then hears nothing
    sleep 600 &
    echo "waiting${tab}$!"
    wait ;;
  deserter) # starts a process in a session of its own, says its number, and ends when it is told anything
    setsid sleep 600 &
    echo "waiting${tab}$!"
    read -r line
    exit 0 ;;
  broken) # ends at once
    echo "no such table" >&2
    exit 101 ;;
esac
