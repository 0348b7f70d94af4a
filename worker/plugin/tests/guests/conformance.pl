# Does what the first letter of each record says: see conformance.rs. Input: what (text), n (integer), x (real). Output:
# said, whole, part of the same types.
$| = 1;
binmode STDIN;
binmode STDOUT;
while (my $line = <STDIN>) {
    my @results;
    while ($line =~ /\{("id":(-?\d+),.*?)\}(?=,\{"id"|\]\})/g) {
        my ($record, $id) = ($1, $2);
        my ($what) = $record =~ /"what":"((?:[^"\\]|\\.)*)"/;
        my ($n) = $record =~ /"n":([^,]+)/;
        my ($x) = $record =~ /"x":([^,]+)/;
        my $letter = substr $what, 0, 1;
        if ($letter eq 'e') { push @results, qq({"id":$id,"error":"$what"}); next }
        next if $letter eq 'm';
        exit 3 if $letter eq 'p';
        sleep 1000 if $letter eq 'h';
        $id = 999 if $letter eq 'f';
        my $more = $letter eq 'c' ? ',"extra":1' : '';
        $n = qq("$what") if $letter eq 'w';
        substr($what, 0, 1) = "\xff" if $letter eq 'u';
        $what = 'x' x (5 << 20) if $letter eq 'b';
        $what = 'x' x (7 << 19) if $letter eq 'l';
        push @results, (qq({"id":$id,"ok":{"said":"$what","whole":$n,"part":$x$more}})) x ($letter eq 't' ? 2 : 1);
    }
    print '{"results":[' . join(',', @results) . "]}\n";
}
