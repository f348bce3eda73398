# Python reads this at its start where bench/compare has put the folder on its path: peer_torch.sh has unset the variable by then, and OpenBLAS is not loaded yet.
import os

if 'DNN_OPENBLAS_CORETYPE' in os.environ:
    os.environ['OPENBLAS_CORETYPE'] = os.environ['DNN_OPENBLAS_CORETYPE']
