. /tmp/newc/scripts/env.sh; export PATH=/tmp/newc/bin:/tmp/newc/t/lfs/nolfs
cd /tmp/newc/t/lfs; rm -rf c2; s3lfs -q clone origin.git c2 2>/dev/null; cd c2; s3lfs -q git-setup --lfs
python3 - <<'P'
import subprocess,hashlib,re,os
def g(*a): return subprocess.run(['git',*a],capture_output=True).stdout
n=bad=0
for c in g('rev-list','--all').decode().split():
    subprocess.run(['git','checkout','-qf',c],check=True)
    for p in g('ls-files','-z').split(b'\0'):
        if not p: continue
        b=g('show',c+':'+p.decode()); m=re.search(rb'oid sha256:([0-9a-f]{64})',b)
        w=open(p,'rb').read(); n+=1
        want=m.group(1).decode() if m else hashlib.sha256(b).hexdigest()
        if hashlib.sha256(w).hexdigest()!=want: bad+=1; print('BAD',c,p)
    s=g('status','--short')
    if s: print('dirty',c,s)
print('files',n,'bad',bad)
P
