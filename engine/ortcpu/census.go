package ortcpu

