<?php
// name-count as a program in PHP: the plainest way, every name is looked through for every term.

/** Writes one line and has it sent. */
function say(array $answer): void
{
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}

/** Names of all people, without blanks at their ends and with ASCII letters in lower case. */
function names(string $file): array
{
    $rows = fopen($file, 'r') ?: throw new RuntimeException("cannot read $file");
    $columns = array_flip(fgetcsv($rows, escape: ''));
    $names = [];
    while (($row = fgetcsv($rows, escape: '')) !== false) {
        $names[] = strtolower(trim($row[$columns['given_name']] . ' ' . $row[$columns['surname']], ' '));
    }
    return $names;
}

function count_of(string $term, array $names): int
{
    static $known = [];
    return $known[$term] ??= count(array_filter($names, fn (string $name): bool => str_contains($name, $term)));
}

try {
    $open = json_decode(fgets(STDIN), true, flags: JSON_THROW_ON_ERROR);
    $names = names($open['open']['tables']['people']);
    say(['opened' => true]);
} catch (Throwable $problem) {
    say(['error' => $problem->getMessage()]);
    exit(1);
}

while (($line = fgets(STDIN)) !== false) {
    $results = [];
    foreach (json_decode($line, true, flags: JSON_THROW_ON_ERROR)['records'] as $record) {
        $name = strtolower($record['name']);
        $words = array_filter(explode(' ', $name), fn (string $word): bool => $word !== '');
        $counts = array_map(fn (string $word): int => count_of($word, $names), $words);
        $ok = ['name_count' => count_of($name, $names), 'word_counts' => implode(' ', $counts)];
        $results[] = ['id' => $record['id'], 'ok' => $ok];
    }
    say(['results' => $results]);
}
