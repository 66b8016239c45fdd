/* The code at the system call entry where that runs at ring 3 (KVM-PVM). It is copied to
 * PV_AT_ENTRY. In: rax the call's number, rcx where to return to, r11 the flags; everything else is
 * the program's. What it does not answer leaves the guest with all registers as they came.
 *
 * It runs with the program's rights and can do nothing that the program could not do itself: none of
 * its tests protects the monitor. A fault in it is answered with -EFAULT by the monitor, which finds
 * the registers in the save area; so every register is saved before it is used, and positions are
 * advanced only after the bytes have been copied. The monitor does not switch threads in here. */
#define SHARED 0x8000
#define REQUEST 0x10000
#define RESPONSE 0x20000
#define BUFFER_BYTES 0x10000
#define PORT_CALL 0x20

#define MODE (SHARED + 0)
#define REQUEST_LEN (SHARED + 8)
#define REQUEST_AT (SHARED + 16)
#define RESPONSE_LEN (SHARED + 24)
#define RESPONSE_MAX (SHARED + 32)
#define TID (SHARED + 40)
#define UID (SHARED + 48)
#define GID (SHARED + 52)
#define BRK (SHARED + 56)
#define BRK_END (SHARED + 64)
#define TSC_BASE (SHARED + 72)
#define SCALE (SHARED + 80)
#define MONOTONIC (SHARED + 88)
#define REALTIME (SHARED + 96)
#define SERVED (SHARED + 104)
#define RANDOM_AT (SHARED + 112)
#define RANDOM (SHARED + 120)
#define RANDOM_BYTES 64
#define SAVE_RSP (SHARED + 184)
#define SAVE_RCX (SHARED + 192)
#define SAVE_RDI (SHARED + 200)
#define SAVE_RSI (SHARED + 208)
#define SAVE_RDX (SHARED + 216)
#define SAVE_RBX (SHARED + 224)
#define STAT (SHARED + 232)
#define STAT_BYTES 144
#define STACK_TOP (SHARED + 0x1000)

#define SHIM_READ 1
#define SHIM_WRITE 2
#define SHIM_STAT 4
#define SHIM_CLOCK 8
#define SHIM_BRK 16
#define SHIM_IDS 32
#define SHIM_RANDOM 64

#define AT_EMPTY_PATH 0x1000
#define TCGETS 0x5401
#define TIOCGWINSZ 0x5413
#define IOVECS_MAX 16

    .section .rodata
    .globl pv_shim_code, pv_shim_code_end
    .hidden pv_shim_code, pv_shim_code_end
    .balign 16
pv_shim_code:
    test %eax, %eax
    je read
    cmp $1, %eax
    je write
    cmp $20, %eax
    je writev
    cmp $228, %eax
    je clock_gettime
    cmp $96, %eax
    je gettimeofday
    cmp $5, %eax
    je fstat
    cmp $262, %eax
    je newfstatat
    cmp $16, %eax
    je ioctl
    cmp $12, %eax
    je brk
    cmp $318, %eax
    je getrandom
    cmp $39, %eax
    je getpid
    cmp $186, %eax
    je gettid
    cmp $102, %eax
    je getuid
    cmp $107, %eax
    je getuid
    cmp $104, %eax
    je getgid
    cmp $108, %eax
    je getgid
leave:
    out %al, $PORT_CALL
    ud2

restore: /* registers that a longer answer used */
    mov SAVE_RCX, %rcx
    mov SAVE_RDI, %rdi
    mov SAVE_RSI, %rsi
    mov SAVE_RDX, %rdx
    mov SAVE_RBX, %rbx
done: /* rax holds the result */
    incq SERVED
    mov %rsp, SAVE_RSP
    mov $STACK_TOP, %esp
    push %r11
    popfq
    mov SAVE_RSP, %rsp
    jmp *%rcx

.macro SAVE
    mov %rcx, SAVE_RCX
    mov %rdi, SAVE_RDI
    mov %rsi, SAVE_RSI
    mov %rdx, SAVE_RDX
    mov %rbx, SAVE_RBX
    cld
.endm
/* Gives up on an answer that has used registers: the call leaves the guest after all. */
.macro GIVE_UP number
    mov SAVE_RCX, %rcx
    mov SAVE_RDI, %rdi
    mov SAVE_RSI, %rsi
    mov SAVE_RDX, %rdx
    mov SAVE_RBX, %rbx
    mov $\number, %eax
    jmp leave
.endm

getpid:
    testb $SHIM_IDS, MODE
    je leave
    mov $1, %eax
    jmp done
gettid:
    testb $SHIM_IDS, MODE
    je leave
    mov TID, %rax
    jmp done
getuid:
    testb $SHIM_IDS, MODE
    je leave
    mov UID, %eax
    jmp done
getgid:
    testb $SHIM_IDS, MODE
    je leave
    mov GID, %eax
    jmp done

read:
    testb $SHIM_READ, MODE
    je leave
    test %edi, %edi
    jne leave
    SAVE
    mov REQUEST_LEN, %rax
    sub REQUEST_AT, %rax
    jb 1f
    cmp %rdx, %rax
    cmova %rdx, %rax
    mov %rsi, %rdi
    mov REQUEST_AT, %rsi
    add $REQUEST, %rsi
    mov %rax, %rcx
    rep movsb
    add %rax, REQUEST_AT
    jmp restore
1:  GIVE_UP 0

write:
    testb $SHIM_WRITE, MODE
    je leave
    cmp $1, %edi
    jne leave
    SAVE
    mov RESPONSE_MAX, %rax
    sub RESPONSE_LEN, %rax
    jb 1f
    cmp %rax, %rdx
    ja 1f
    mov RESPONSE_LEN, %rdi
    add $RESPONSE, %rdi
    mov %rdx, %rcx
    rep movsb
    add %rdx, RESPONSE_LEN
    mov %rdx, %rax
    jmp restore
1:  GIVE_UP 1

writev:
    testb $SHIM_WRITE, MODE
    je leave
    cmp $1, %edi
    jne leave
    cmp $IOVECS_MAX, %rdx
    ja leave
    SAVE
    mov RESPONSE_MAX, %rax
    sub RESPONSE_LEN, %rax
    jb 4f
    mov %rsi, %rbx
    mov RESPONSE_LEN, %rdi
    add $RESPONSE, %rdi
1:  test %rdx, %rdx
    je 2f
    mov (%rbx), %rsi
    mov 8(%rbx), %rcx
    cmp %rax, %rcx
    ja 4f
    sub %rcx, %rax
    rep movsb
    add $16, %rbx
    dec %rdx
    jmp 1b
2:  mov %rdi, %rax
    sub $RESPONSE, %rax
    sub RESPONSE_LEN, %rax
    add %rax, RESPONSE_LEN
    jmp restore
4:  GIVE_UP 20

clock_gettime:
    testb $SHIM_CLOCK, MODE
    je leave
    cmp $1, %edi
    ja leave
    SAVE
    lea MONOTONIC, %rbx
    test %edi, %edi
    jne 1f
    lea REALTIME, %rbx
1:  rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub TSC_BASE, %rax
    mulq SCALE
    shrd $32, %rdx, %rax
    add (%rbx), %rax
    xor %edx, %edx
    mov $1000000000, %ecx
    div %rcx
    mov %rax, (%rsi)
    mov %rdx, 8(%rsi)
    xor %eax, %eax
    jmp restore

gettimeofday:
    testb $SHIM_CLOCK, MODE
    je leave
    test %rdi, %rdi
    je leave
    test %rsi, %rsi
    jne leave
    SAVE
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub TSC_BASE, %rax
    mulq SCALE
    shrd $32, %rdx, %rax
    add REALTIME, %rax
    xor %edx, %edx
    mov $1000000000, %ecx
    div %rcx
    mov %rax, (%rdi)
    mov %rdx, %rax
    xor %edx, %edx
    mov $1000, %ecx
    div %rcx
    mov %rax, 8(%rdi)
    xor %eax, %eax
    jmp restore

fstat:
    testb $SHIM_STAT, MODE
    je leave
    cmp $2, %edi
    ja leave
    SAVE
    mov %edi, %eax
    mov %rsi, %rdi
    jmp copy_stat
newfstatat:
    testb $SHIM_STAT, MODE
    je leave
    cmp $2, %edi
    ja leave
    cmp $AT_EMPTY_PATH, %r10d
    jne leave
    SAVE
    cmpb $0, (%rsi)
    jne 1f
    mov %edi, %eax
    mov %rdx, %rdi
copy_stat:
    imul $STAT_BYTES, %eax, %eax
    lea STAT(%rax), %rsi
    mov $STAT_BYTES / 8, %ecx
    rep movsq
    xor %eax, %eax
    jmp restore
1:  GIVE_UP 262

ioctl:
    testb $SHIM_STAT, MODE
    je leave
    cmp $2, %edi
    ja leave
    cmp $TCGETS, %esi
    je 1f
    cmp $TIOCGWINSZ, %esi
    jne leave
1:  mov $-25, %rax /* ENOTTY */
    jmp done

brk:
    testb $SHIM_BRK, MODE
    je leave
    test %rdi, %rdi
    je 1f
    cmp BRK, %rdi
    jb leave
    cmp BRK_END, %rdi
    ja leave
    mov %rdi, BRK
1:  mov BRK, %rax
    jmp done

getrandom:
    testb $SHIM_RANDOM, MODE
    je leave
    test %edx, %edx
    je 1f
    cmp $1, %edx /* GRND_NONBLOCK */
    jne leave
1:  SAVE
    mov $RANDOM_BYTES, %eax
    sub RANDOM_AT, %rax
    jb 2f
    cmp %rax, %rsi
    ja 2f
    mov %rsi, %rax
    mov %rsi, %rcx
    mov RANDOM_AT, %rsi
    add $RANDOM, %rsi
    rep movsb
    add %rax, RANDOM_AT
    jmp restore
2:  GIVE_UP 318
pv_shim_code_end:
    .section .note.GNU-stack, "", @progbits
