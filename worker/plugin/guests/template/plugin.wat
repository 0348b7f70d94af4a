;; Writes names in capital letters and counts their letters: the whole plugin in WebAssembly's own text, which needs no
;; compiler. plugin.c beside it does the same in C and says how it is built.
(module
  (memory (export "memory") 2)

  (func (export "nightshift_abi") (result i32) i32.const 1)

  ;; The block stands from 16 on and the answer behind it, which needs 1 byte, 8 for its head, and 10 more than the block
  ;; has for each record: less than three times the block.
  (func (export "alloc") (param $length i32) (result i32)
    (local $pages i32)
    (local.set $pages (i32.sub
      (i32.shr_u (i32.add (i32.mul (local.get $length) (i32.const 3)) (i32.const 65600)) (i32.const 16))
      (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then (if (i32.lt_s (memory.grow (local.get $pages)) (i32.const 0)) (then (return (i32.const 0))))))
    (i32.const 16))

  (func (export "process") (param $block i32) (param $length i32) (result i64)
    (local $in i32) (local $out i32) (local $answer i32) (local $records i32) (local $size i32)
    (local.set $records (i32.load offset=4 (local.get $block)))
    (local.set $in (i32.add (local.get $block) (i32.const 8)))
    (local.set $answer (i32.add (local.get $block) (local.get $length)))
    ;; Results (0) of two columns, one for each record.
    (i32.store8 (local.get $answer) (i32.const 0))
    (i32.store offset=1 (local.get $answer) (i32.const 2))
    (i32.store offset=5 (local.get $answer) (local.get $records))
    (local.set $out (i32.add (local.get $answer) (i32.const 9)))
    (block $done
      (loop $record
        (br_if $done (i32.eqz (local.get $records)))
        ;; The record's id, and 0: values follow.
        (i64.store (local.get $out) (i64.load (local.get $in)))
        (i32.store8 offset=8 (local.get $out) (i32.const 0))
        ;; A text (3), its length, its bytes.
        (local.set $size (i32.load offset=9 (local.get $in)))
        (i32.store8 offset=9 (local.get $out) (i32.const 3))
        (i32.store offset=10 (local.get $out) (local.get $size))
        (local.set $in (i32.add (local.get $in) (i32.const 13)))
        (local.set $out (i32.add (local.get $out) (i32.const 14)))
        ;; Behind the text an integer (1): how many letters it has.
        (i32.store8 (i32.add (local.get $out) (local.get $size)) (i32.const 1))
        (i64.store offset=1 (i32.add (local.get $out) (local.get $size))
          (call $shout (local.get $in) (local.get $out) (local.get $size)))
        (local.set $in (i32.add (local.get $in) (local.get $size)))
        (local.set $out (i32.add (local.get $out) (i32.add (local.get $size) (i32.const 9))))
        (local.set $records (i32.sub (local.get $records) (i32.const 1)))
        (br $record)))
    ;; Where the answer stands, and how long it is.
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $answer)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (local.get $out) (local.get $answer)))))

  ;; Copies $size bytes of UTF-8 with a to z as A to Z; how many letters they are.
  (func $shout (param $from i32) (param $to i32) (param $size i32) (result i64)
    (local $byte i32) (local $letters i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $size)))
        (local.set $byte (i32.load8_u (local.get $from)))
        ;; Bytes 10xxxxxx go on with the letter before.
        (if (i32.ne (i32.and (local.get $byte) (i32.const 0xC0)) (i32.const 0x80))
          (then (local.set $letters (i64.add (local.get $letters) (i64.const 1)))))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x61)) (i32.const 26))
          (then (local.set $byte (i32.sub (local.get $byte) (i32.const 0x20)))))
        (i32.store8 (local.get $to) (local.get $byte))
        (local.set $from (i32.add (local.get $from) (i32.const 1)))
        (local.set $to (i32.add (local.get $to) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $next)))
    (local.get $letters)))
