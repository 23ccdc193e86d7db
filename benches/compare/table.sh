# shellcheck shell=bash
# shellcheck disable=SC2154 # variables are shared with compare.sh and its other files
# Sourced by benches/compare.sh: medians, spreads, ratios, and whether the goals are reached.

systems=(native nginx peer uncached floor lastpop)

# A row of the table, and what its figures are.
units=(
  'poll-1|polls/s, 1 client'
  'poll-8|polls/s, 8 clients'
  'poll-cpu|CPU ms of the proxy for a poll'
  'poll-far|ms for a poll, upstream 10 ms away'
  'drain-small|MB/s, 8 KiB messages, 4 clients'
  'drain-pipelined|the same, RETR pipelined by 20'
  'drain-large|MB/s, 25 MiB messages, 1 client'
  'drain-cpu|CPU s of the proxy for a GB of these'
  'retr-far|ms for 20 RETR, upstream 10 ms away'
  'kept|polls/s, 8 clients, upstream sessions kept'
  'first-byte|ms to the first octet of 25 MiB'
  'memory|MiB more with 8 clients that read 25 MiB'
  'large-cold|ms for a poll of 100,000 messages, first'
  'large-repeat|the same, again'
  'idle|KiB for an idle session'
  'idle-tls|the same, TLS on both sides'
)

# Row, what lastpop is compared with ("-": nothing, the figure itself counts), relation, number.
goals=(
  'poll-1 peer >= 2.2' 'poll-1 native >= 0.95'
  'poll-8 peer >= 2.2' 'poll-8 native >= 0.9'
  'poll-cpu nginx <= 1' 'poll-cpu peer <= 0.2'
  'poll-far - <= 45'
  'drain-small peer >= 2.2' 'drain-small native >= 1'
  'drain-pipelined peer >= 2.5' 'drain-pipelined native >= 0.9'
  'drain-large peer >= 2' 'drain-large nginx >= 1.3'
  'drain-cpu - <= 0.8'
  'retr-far - <= 150'
  'kept peer >= 5' 'kept native >= 1.8'
  'first-byte - <= 1'
  'memory - <= 4'
  'large-cold floor <= 1.2'
  'large-repeat peer <= 0.25'
  'idle - <= 12'
  'idle-tls - <= 40'
)

# Median, least and greatest of numbers, one a line.
spread() {
  sort -g | awk 'function short(x) { return sprintf(x < 1000 ? "%.4g" : "%.0f", x) }
    { v[NR] = $1 }
    END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; print short(m), short(v[1]), short(v[NR]) }'
}

written() {
  local figures
  read -ra figures
  printf '%s (%s to %s)' "${figures[@]}"
}

# cell ROW SYSTEM: empty when it was not measured.
cell() {
  [[ ! -e $dir/results/$1/$2 ]] || spread <"$dir/results/$1/$2" | written
}

# ratios ROW SYSTEM OTHER: SYSTEM to OTHER, one a line, for each round.
ratios() {
  paste "$dir/results/$1/$2" "$dir/results/$1/$3" | awk '{ print ($2 == 0 ? "inf" : $1 / $2) }'
}

ratio() {
  [[ ! -e $dir/results/$1/$2 || ! -e $dir/results/$1/$3 ]] || ratios "$@" | spread | written
}

# goal ROW OTHER RELATION NUMBER: in words, with what was reached.
goal() {
  local reached unit=''
  if [[ $2 == - ]]; then
    reached=$(spread <"$dir/results/$1/lastpop")
  else
    unit=" × $2"
    reached=$(ratios "$1" lastpop "$2" | spread)
  fi
  awk -v reached="${reached%% *}" -v relation="$3" -v number="$4" -v unit="$unit" 'BEGIN {
    ok = relation == ">=" ? reached + 0 >= number + 0 : reached + 0 <= number + 0
    printf "%s %s%s: %s", relation == ">=" ? "≥" : "≤", number, unit, ok ? "reached" : "**missed, " reached "**"
  }'
}

print_table() {
  local entry row unit system words wanted
  printf '| row | '
  printf '%s | ' "${systems[@]}"
  printf 'lastpop : peer | lastpop : native | lastpop : floor | goals |\n|'
  printf -- '---|%.0s' row "${systems[@]}" peer native floor goals
  printf '\n'
  for entry in "${units[@]}"; do
    row=${entry%%|*}
    unit=${entry#*|}
    [[ -e $dir/results/$row/lastpop ]] || continue
    printf '| **%s** %s | ' "$row" "$unit"
    for system in "${systems[@]}"; do
      printf '%s | ' "$(cell "$row" "$system")"
    done
    for system in peer native floor; do
      printf '%s | ' "$(ratio "$row" lastpop "$system")"
    done
    for words in "${goals[@]}"; do
      read -ra wanted <<<"$words"
      [[ ${wanted[0]} != "$row" ]] || printf '%s; ' "$(goal "${wanted[@]}")"
    done
    printf '|\n'
  done
}
