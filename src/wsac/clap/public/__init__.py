"""Public CLAPs: LAION, WavCaps, MS-CLAP, and folders of transformers' ClapModel."""
