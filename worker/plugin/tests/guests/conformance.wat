;; Does what the first letter of each record says: see conformance.rs. Input: what (text), n (integer), x (real). Output:
;; said, whole, part of the same types.
(module
  (memory (export "memory") 1400)
  (global $out (mut i32) (i32.const 0))
  (global $results (mut i32) (i32.const 0))

  (func (export "nightshift_abi") (result i32) i32.const 1)
  (func (export "alloc") (param i32) (result i32) i32.const 1024)

  (func $size_of (param $at i32) (result i32)
    (local $tag i32)
    (local.set $tag (i32.load8_u (local.get $at)))
    (if (i32.eqz (local.get $tag)) (then (return (i32.const 1))))
    (if (i32.lt_u (local.get $tag) (i32.const 3)) (then (return (i32.const 9))))
    (i32.add (i32.const 5) (i32.load offset=1 (local.get $at))))

  (func $byte (param $byte i32)
    (i32.store8 (global.get $out) (local.get $byte))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $copy (param $at i32) (param $size i32)
    (memory.copy (global.get $out) (local.get $at) (local.get $size))
    (global.set $out (i32.add (global.get $out) (local.get $size))))

  ;; A text of $size letters x.
  (func $text_of (param $size i32)
    (call $byte (i32.const 3))
    (i32.store (global.get $out) (local.get $size))
    (memory.fill (i32.add (global.get $out) (i32.const 4)) (i32.const 120) (local.get $size))
    (global.set $out (i32.add (global.get $out) (i32.add (i32.const 4) (local.get $size)))))

  (func $result (param $id i64) (param $kind i32)
    (i64.store (global.get $out) (local.get $id))
    (global.set $out (i32.add (global.get $out) (i32.const 8)))
    (call $byte (local.get $kind))
    (global.set $results (i32.add (global.get $results) (i32.const 1))))

  (func $echo (param $id i64) (param $what i32) (param $n i32) (param $x i32)
    (call $result (local.get $id) (i32.const 0))
    (call $copy (local.get $what) (call $size_of (local.get $what)))
    (call $copy (local.get $n) (call $size_of (local.get $n)))
    (call $copy (local.get $x) (call $size_of (local.get $x))))

  (func $record (param $id i64) (param $what i32) (param $n i32) (param $x i32)
    (local $letter i32)
    (if (i32.load offset=1 (local.get $what)) (then (local.set $letter (i32.load8_u offset=5 (local.get $what)))))
    ;; error: the text is the error.
    (if (i32.eq (local.get $letter) (i32.const 0x65)) (then
      (call $result (local.get $id) (i32.const 1))
      (call $copy (i32.add (local.get $what) (i32.const 1)) (i32.sub (call $size_of (local.get $what)) (i32.const 1)))
      (return)))
    ;; missing
    (if (i32.eq (local.get $letter) (i32.const 0x6d)) (then (return)))
    ;; foreign
    (if (i32.eq (local.get $letter) (i32.const 0x66)) (then (local.set $id (i64.const 999))))
    ;; twice
    (if (i32.eq (local.get $letter) (i32.const 0x74)) (then
      (call $echo (local.get $id) (local.get $what) (local.get $n) (local.get $x))))
    ;; poison
    (if (i32.eq (local.get $letter) (i32.const 0x70)) (then unreachable))
    ;; hang
    (if (i32.eq (local.get $letter) (i32.const 0x68)) (then (loop (br 0))))
    ;; wrong: the text where the integer belongs
    (if (i32.eq (local.get $letter) (i32.const 0x77)) (then
      (call $result (local.get $id) (i32.const 0))
      (call $copy (local.get $what) (call $size_of (local.get $what)))
      (call $copy (local.get $what) (call $size_of (local.get $what)))
      (call $copy (local.get $x) (call $size_of (local.get $x)))
      (return)))
    ;; bytes that are not UTF-8, in the place of the letter
    (if (i32.eq (local.get $letter) (i32.const 0x75)) (then (i32.store8 offset=5 (local.get $what) (i32.const 0xFF))))
    ;; big: 5 MiB; large: 3.5 MiB
    (if (i32.or (i32.eq (local.get $letter) (i32.const 0x62)) (i32.eq (local.get $letter) (i32.const 0x6c))) (then
      (call $result (local.get $id) (i32.const 0))
      (call $text_of (select (i32.const 0x500000) (i32.const 0x380000) (i32.eq (local.get $letter) (i32.const 0x62))))
      (call $copy (local.get $n) (call $size_of (local.get $n)))
      (call $copy (local.get $x) (call $size_of (local.get $x)))
      (return)))
    (call $echo (local.get $id) (local.get $what) (local.get $n) (local.get $x)))

  ;; The answer stands from 1 MiB on.
  (func (export "process") (param $block i32) (param $length i32) (result i64)
    (local $in i32) (local $records i32) (local $what i32) (local $n i32) (local $x i32)
    (global.set $out (i32.const 0x100009))
    (global.set $results (i32.const 0))
    (local.set $records (i32.load offset=4 (local.get $block)))
    (local.set $in (i32.add (local.get $block) (i32.const 8)))
    (block $done (loop $record
      (br_if $done (i32.eqz (local.get $records)))
      (local.set $what (i32.add (local.get $in) (i32.const 8)))
      (local.set $n (i32.add (local.get $what) (call $size_of (local.get $what))))
      (local.set $x (i32.add (local.get $n) (call $size_of (local.get $n))))
      (call $record (i64.load (local.get $in)) (local.get $what) (local.get $n) (local.get $x))
      (local.set $in (i32.add (local.get $x) (call $size_of (local.get $x))))
      (local.set $records (i32.sub (local.get $records) (i32.const 1)))
      (br $record)))
    (i32.store8 (i32.const 0x100000) (i32.const 0))
    (i32.store (i32.const 0x100001) (i32.const 3))
    (i32.store (i32.const 0x100005) (global.get $results))
    (i64.or (i64.const 0x10000000000000) (i64.extend_i32_u (i32.sub (global.get $out) (i32.const 0x100000))))))
